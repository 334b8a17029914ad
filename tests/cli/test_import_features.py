"""`asl-kit import-features` by its command line: what it prints, and what users get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import make_annotation_set, make_features

from asl_kit.annotations import write_annotations
from asl_kit.feature_import import list_presets
from asl_kit.manifests.schema import FeatureSet
from asl_kit.store import FeatureStore

WINDOWS = ("--window", "16", "--stride", "4")
PRESET = FeatureSet(
    title="I3D",
    source="a page",
    dimensions=4,
    window_frames=16,
    stride_frames=4,
    fps=30.0,
    offset_s=0.5,
    prefix="v-",
    suffix="-i3d",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with features of the videos a and b, and annotations of a, b and c without frame rates."""
    (tmp_path / "files").mkdir()
    np.save(tmp_path / "files" / "a.npy", make_features(20))
    np.save(tmp_path / "files" / "b.npy", make_features(30))
    found = make_annotation_set({name: ("train", []) for name in "abc"}, ["action"])
    write_annotations(found, tmp_path / "annotations.json")
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    place = (folder / "files", "-o", folder / "store")
    return command_line.run("import-features", *place, *(word.replace("FOLDER", str(folder)) for word in arguments))


def test_prints_what_it_did_and_writes_it_as_json(folder: Path) -> None:
    report = folder / "report.json"
    result = run(
        folder, *WINDOWS, "--fps", "30", "--annotations", "FOLDER/annotations.json", "--json", str(report)
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for text in (
        "layout: time-first, 4 values a feature (the only axis of the same size in all 2 files)",
        "timing: windows of 16 frames, one every 4, fps 30",
        "matched: 2 by name",
        "2 videos imported, 0 already in the store, 0 failed; 50 features",
        "videos without features: 1\n  c\n",
        "features that end more than a window away from their video: 2\n  a: 20 features end at 3.07 s, the video at",
    ):
        assert text in result.output
    written = json.loads(report.read_text())
    assert (written["done"], written["videos_without_features"]) == (["a", "b"], ["c"])
    assert written["lengths"][1]["features"] == 30
    assert FeatureStore.open(folder / "store").verify() == []


def test_a_video_that_fails_makes_the_exit_code_1(folder: Path) -> None:
    (folder / "files" / "c.npy").write_bytes(b"x")
    result = run(folder, *WINDOWS, "--fps", "30")
    assert result.exit_code == 1
    assert "2 videos imported, 0 already in the store, 1 failed" in result.output
    assert "failed: 1\n  c: " in result.output
    assert FeatureStore.open(folder / "store").video_ids() == ["a", "b"]


def no_features(folder: Path) -> None:
    for path in (folder / "files").iterdir():
        path.unlink()


def twice(folder: Path) -> None:
    (folder / "files" / "more").mkdir()
    np.save(folder / "files" / "more" / "a.npy", make_features(9))


def same_lengths(folder: Path) -> None:
    np.save(folder / "files" / "a.npy", make_features(30))


def several_arrays(folder: Path) -> None:
    no_features(folder)
    np.savez(folder / "files" / "a.npz", rgb=make_features(9), flow=make_features(9))


def other_names(folder: Path) -> None:
    for path in (folder / "files").iterdir():
        path.rename(path.with_name(f"x-{path.name}"))


def a_store_of_others(folder: Path) -> None:
    assert run(folder, *WINDOWS, "--fps", "30").exit_code == 0


def nothing(folder: Path) -> None:
    pass


ANNOTATED = ("--annotations", "FOLDER/annotations.json")


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "message", "hint"),
    [
        pytest.param(nothing, (), 2, "--window and --stride missing", "--preset", id="no timing"),
        pytest.param(nothing, ("--window", "16"), 2, "--stride missing", "--resized", id="no stride"),
        pytest.param(nothing, WINDOWS, 2, "frame rate is not known", "give --fps, or --annotations", id="no rate"),
        pytest.param(nothing, ("--resized",), 2, "need each video's duration", "--annotations", id="no durations"),
        pytest.param(nothing, ("--resized", "--fps", "3"), 2, "leave out --fps", "", id="resized with a rate"),
        pytest.param(nothing, (*WINDOWS, "--fps", "-1"), 2, "--fps is -1.0", "", id="negative rate"),
        pytest.param(
            nothing, ("--preset", "own/i3d", "--fps", "30", "--dim", "4"), 2, "leave out --fps, --dim",
            "--list-presets", id="preset and options",
        ),
        pytest.param(nothing, ("--preset", "own/i3"), 2, "no preset named 'own/i3'", "own/i3d", id="unknown preset"),
        pytest.param(nothing, ("--preset", "own/wide"), 1, "no file has 8 values", "--dim", id="wrong preset"),
        pytest.param(nothing, (*WINDOWS, "--layout", "DT"), 2, "'DT' is not one of", "", id="layout"),
        pytest.param(nothing, (*WINDOWS, "--annotations", "FOLDER/x"), 2, "no such file", "", id="no annotations"),
        pytest.param(no_features, (*WINDOWS, "--fps", "30"), 2, "no feature files", "one feature file", id="empty"),
        pytest.param(twice, (*WINDOWS, "--fps", "30"), 1, "a.npy and ", "holds one of them", id="two files"),
        pytest.param(same_lengths, (*WINDOWS, "--fps", "30"), 1, "all 2 files are (30, 4)", "--layout", id="ambiguous"),
        pytest.param(other_names, (*WINDOWS, *ANNOTATED), 1, "named 'x-a', 'x-b', videos 'a'", "--prefix", id="names"),
        pytest.param(several_arrays, (*WINDOWS, "--fps", "1", "--dim", "4", "--layout", "time-first"), 1,
            "can be read; the first: ", "--key NAME", id="several arrays"),
        pytest.param(
            a_store_of_others, (*WINDOWS, "--fps", "25"), 2, "fps: 30.0 against 25.0", "another store", id="conflict"
        ),
        pytest.param(nothing, (*WINDOWS, *ANNOTATED), 2, "state no frame rate", "give --fps", id="rate unknown"),
    ],
)  # fmt: skip
def test_wrong_input(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Path], None],
    arguments: tuple[str, ...],
    code: int,
    message: str,
    hint: str,
) -> None:
    known = {"own/i3d": PRESET, "own/wide": PRESET.model_copy(update={"dimensions": 8, "prefix": "", "suffix": ""})}
    monkeypatch.setattr("asl_kit.feature_import.presets.list_presets", lambda: known)
    prepare(folder)
    result = run(folder, *arguments)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert hint in result.output
    assert "Traceback" not in result.output
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)


def test_presets_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asl_kit.feature_import.presets.list_presets", lambda: {"own/i3d": PRESET})
    result = command_line.run("import-features --list-presets")
    assert result.exit_code == 0, result.output
    row = next(line for line in result.output.splitlines() if "own/i3d" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "own/i3d", "4", "16", "4", "30", "0.5", "v-ID-i3d", "I3D",
    ]  # fmt: skip


def test_all_real_presets_can_be_listed() -> None:
    result = command_line.run("import-features --list-presets")
    assert result.exit_code == 0, result.output
    assert all(name in result.output for name in list_presets())
