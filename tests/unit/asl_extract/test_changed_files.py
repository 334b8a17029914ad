"""Videos whose files have changed since they were stored: named, kept, and replaced when asked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extraction import run_extraction
from helpers.processes import assert_same_store
from helpers.support import write_video

from asl_extract.extraction import ExtractionSummary
from asl_kit.errors import VideoError
from asl_kit.store import FeatureStore

SETTINGS = {
    "backbone": "x3d_xs",
    "weights": "random",
    "window_frames": 16,
    "stride_frames": 4,
    "frame_size": 32,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, frames in (("a", 20), ("b", 24), ("other", 28)):
        write_video(folder / f"{name}.mp4", frames=frames)
    return folder


@pytest.fixture(scope="module")
def made(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos a and b, and the store of their features."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copyfile(files / name, folder / "videos" / name)
    run(folder)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "project")
    return tmp_path / "project"


def run(folder: Path, **changes: Any) -> ExtractionSummary:
    return run_extraction([folder / "videos"], folder / "store", **(SETTINGS | changes))


def features(folder: Path) -> dict[str, bytes]:
    store = FeatureStore.open(folder / "store")
    assert store.verify() == []
    return {video_id: store.read(video_id).tobytes() for video_id in store.video_ids()}


def test_the_store_records_the_file(project: Path) -> None:
    source = FeatureStore.open(project / "store").info("a").source
    assert source is not None
    assert source.size_bytes == (project / "videos" / "a.mp4").stat().st_size
    assert source.path.endswith("videos/a.mp4")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"workers": 0}, id="this process"),
        pytest.param({"workers": 2}, id="decoders"),
        pytest.param({"device": "cpu,cpu"}, id="devices", marks=pytest.mark.slow),
        pytest.param({"shard": "2/2"}, id="shard"),
    ],
)
def test_another_file_of_the_same_name(
    options: dict[str, Any], project: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = "device" not in options  # where processes with PyTorch are started, a run takes seconds
    before = features(project)
    path = shutil.copyfile(files / "other.mp4", project / "videos" / "b.mp4")
    for _ in range(1 + again):  # the second run says the same
        summary = run(project, **options)
        reason = summary.failed["b"]
        assert f"{path}: the stored features were made from another file" in reason
        assert f"this one has {path.stat().st_size}" in reason
        assert (summary.done, summary.changed, summary.failed_before) == ([], ["b"], {})
        assert f"failed: b: {reason}" in summary.to_text()
        assert "1 stored videos were made from other files; --replace-changed makes them" in summary.to_text()
        assert "(--replace-changed extracts it again; if it is another" in capsys.readouterr().err
        assert features(project) == before

    summary = run(project, replace_changed=True, **options)
    assert (summary.done, summary.changed, summary.failed) == (["b"], ["b"], {})
    assert "1 of them replaced, because their files had changed" in summary.to_text()
    fresh = project / "fresh"
    fresh.mkdir()
    (fresh / "videos").symlink_to(project / "videos")
    run(fresh)
    found, expected = (FeatureStore.open(folder / "store").read("b") for folder in (project, fresh))
    assert found.tobytes() == expected.tobytes()
    assert features(project)["a"] == before["a"]

    if again:
        summary = run(project, **options)
        assert (summary.done, summary.changed, summary.failed, summary.not_compared) == ([], [], {}, {})


@pytest.mark.parametrize("same_size", [True, False])
def test_a_changed_file_without_readable_frames_replaces_nothing(same_size: bool, project: Path) -> None:
    path = project / "videos" / "a.mp4"
    path.write_bytes(bytes(path.stat().st_size if same_size else 10))
    before = features(project)
    assert ("with other content" in run(project).failed["a"]) == same_size
    summary = run(project, replace_changed=True)
    assert (summary.done, summary.changed, summary.skipped) == ([], ["a"], ["b"])
    assert "not a video that can be read" in summary.failed["a"]
    assert features(project) == before
    assert list((project / "store" / "tmp").iterdir()) == []


def test_the_same_content_elsewhere_and_later_is_the_same_file(project: Path) -> None:
    (project / "videos" / "sub").mkdir()
    moved = (project / "videos" / "a.mp4").rename(project / "videos" / "sub" / "a.MP4")
    os.utime(moved, (1, 1))
    summary = run(project)
    assert (summary.skipped, summary.changed, summary.not_compared) == (["a", "b"], [], {})


def test_on_error_stop(project: Path, files: Path) -> None:
    shutil.copyfile(files / "other.mp4", project / "videos" / "a.mp4")
    for workers in (0, 1):
        with pytest.raises(VideoError, match="made from another file") as caught:
            run(project, on_error="stop", workers=workers)
        assert "--replace-changed extracts it again" in str(caught.value.hint)


def test_a_store_of_an_earlier_version(project: Path, files: Path) -> None:
    """It records no files: the videos are skipped, and one line says that they were not compared."""
    for path in (project / "store" / "videos").glob("*/zarr.json"):
        document = json.loads(path.read_text())
        del document["attributes"]["source"]
        path.write_text(json.dumps(document))
    shutil.copyfile(files / "other.mp4", project / "videos" / "a.mp4")
    before = features(project)
    summary = run(project, replace_changed=True)
    assert (summary.done, summary.skipped, summary.failed) == ([], ["a", "b"], {})
    assert (
        "2 stored videos could not be compared with their files: the store does not record which file they were"
        " made from" in summary.to_text().splitlines()
    )
    assert features(project) == before


def test_a_file_that_grows_while_it_is_extracted_is_named_by_the_next_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(project / "videos" / "c.mp4", frames=20)
    write = FeatureStore.write

    def grow_then_write(*arguments: Any, **options: Any) -> bool:
        with path.open("ab") as file:
            file.write(b"more")
        return write(*arguments, **options)

    monkeypatch.setattr(FeatureStore, "write", grow_then_write)
    assert run(project).done == ["c"]
    assert run(project).changed == ["c"]


def test_stores_of_the_same_files_are_equal(project: Path, made: Path) -> None:
    shutil.rmtree(project / "store")
    run(project, workers=2)
    for video_id in ("a", "b"):
        np.testing.assert_array_equal(
            FeatureStore.open(project / "store").read(video_id), FeatureStore.open(made / "store").read(video_id)
        )
    run_extraction([made / "videos"], project / "again", **SETTINGS)
    assert_same_store(project / "again", made / "store")
