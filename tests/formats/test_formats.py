"""Files that earlier versions wrote still open and mean the same; those of a later one are refused by name.

Covered by another format's version are the ledger (of the store), ``last.ckpt`` and ``curve.jsonl`` (of the
checkpoint). Predictions are ActivityNet's format, whose `version` is theirs: they carry none of ours.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from formats.make import MANIFEST, RUN, make, network_output
from helpers.command_line import run
from helpers.training_runs import curve

from asl_evaluate.report.sensitivity_file import read_sensitivity
from asl_kit.annotations import read_annotations
from asl_kit.annotations.io import to_text
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.errors import AslKitError
from asl_kit.manifests.files import read_manifest
from asl_kit.recipes.files import load_recipe
from asl_kit.store import FeatureStore, compare_sources

V1 = Path(__file__).parent / "v1"
EXPECTED = json.loads((V1 / "expected.json").read_bytes())


def test_annotations() -> None:
    annotations = read_annotations(V1 / "annotations.json")
    assert to_text(annotations) == (V1 / "annotations.json").read_text(encoding="utf-8")
    first = annotations.videos["a"].segments[0]
    assert (first.start, first.end, first.labels) == (1.0, 2.5, {"action": "run"})
    assert annotations.videos["idle"].segments == []
    assert annotations.videos["unknown"].segments is None


def test_feature_store_and_its_ledger() -> None:
    store = FeatureStore.open(V1 / "features.zarr")
    assert store.verify() == []
    assert store.video_ids() == ["a", "b/ü 1", "c", "e", "idle", "unknown"]
    for video_id, features in EXPECTED["features"].items():
        assert store.read(video_id)[:2].tolist() == features
    info = store.info("b/ü 1")
    assert (info.duration_s, info.fps, info.frames) == (128 / 30, 30.0, 128)
    assert info.source is None  # not recorded then
    assert compare_sources(store, {"a": V1 / "annotations.json"}).unknown.keys() == {"a"}
    assert info.grid.to_json() == {"first_center_s": 8 / 30, "step_s": 4 / 30, "length": 32}
    assert (store.spec.backbone, store.spec.window_frames, store.spec.stride_frames) == ("x3d_xs", 16, 4)
    assert [attempt.outcome for attempt in store.ledger.attempts()] == ["done"] * 6 + ["failed"]
    assert store.ledger.failures() == {"broken": "the file is empty"}


def test_checkpoint() -> None:
    """The same features give the same logits and offsets: no new setting's default changes an old model."""
    checkpoint = load_checkpoint(V1 / "model.ckpt")
    assert checkpoint.vocabularies == {"action": ("run", "jump")}
    for name, values in network_output(V1 / "model.ckpt").items():
        torch.testing.assert_close(values, EXPECTED["network"][name], rtol=1e-4, atol=1e-4)


def test_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an old last.ckpt, on an old store, to where the old version itself came."""
    shutil.copytree(V1, tmp_path / "v1")
    monkeypatch.chdir(tmp_path / "v1")
    result = run(*RUN, "--resume")
    assert result.exit_code == 0, result.output
    assert "after epoch 1" in result.stderr
    then = [json.loads(line) for line in Path("expected_curve.jsonl").read_text().splitlines()]
    now = curve(Path("run"))
    assert [(line["step"], line["group"]) for line in now] == [(line["step"], line["group"]) for line in then]
    for found, expected in zip(now, then, strict=True):
        if expected["group"] == "train":
            losses = {name: value for name, value in expected.items() if name != "group"}
            assert {name: found[name] for name in losses} == pytest.approx(losses, rel=1e-3, abs=1e-4)


def test_predictions(tmp_path: Path) -> None:
    detections = read_predictions(V1 / "detections.json")
    assert detections.class_names == ("jump", "run")
    write_predictions(tmp_path / "again.json", detections)
    assert (tmp_path / "again.json").read_bytes() == (V1 / "detections.json").read_bytes()


def test_recipe() -> None:
    """Every choice that the file states is what it was; later versions may know more."""
    recipe = load_recipe(str(V1 / "recipe.toml")).model_dump(mode="json")
    for table, keys in EXPECTED["recipe"].items():
        assert {key: recipe[table][key] for key in keys} == keys


def test_manifest() -> None:
    manifest = read_manifest(V1 / "tiny.toml")
    assert manifest.classes == ["run", "jump"]
    assert (manifest.protocol, manifest.tiou_thresholds) == ("thumos14", (0.3, 0.5))
    assert manifest.features["i3d"].fps == 25.0
    assert manifest.exclusions[0].video == "v9"


def test_sensitivity() -> None:
    read = read_sensitivity(V1 / "sensitivity.json", vocabulary="action", classes=["run", "jump"], videos=["e"])
    assert read.classes is not None
    assert read.classes["run"].training_segments == 2
    assert read.videos is not None
    assert len(read.videos["e"].q_cls) == 32


def replace_text(*names: str, old: str = '"version": 1', new: str = '"version": 2') -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            text = (folder / name).read_text(encoding="utf-8")
            assert old in text
            (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def change_checkpoint(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        fields = torch.load(folder / name, weights_only=True)
        torch.save(fields | {"version": 2}, folder / name)

    return change


NEWER_TOML = {"old": "version = 1", "new": "version = 2"}
SCORED = ["--annotations", "annotations.json", "--features", "features.zarr"]
REPORT = ["report", "--predictions", "detections.json", "--annotations", "annotations.json", "-o", "report.html"]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        pytest.param(
            replace_text("annotations.json"), ["annotations", "validate", "annotations.json"],
            "annotations.json: annotation", id="annotations",
        ),
        pytest.param(
            replace_text("features.zarr/zarr.json"), ["store", "list", "features.zarr"],
            "features.zarr: store", id="store",
        ),
        pytest.param(
            change_checkpoint("model.ckpt"), ["eval", "--checkpoint", "model.ckpt", *SCORED, "--out", "scores"],
            "model.ckpt: checkpoint", id="checkpoint",
        ),
        pytest.param(change_checkpoint("run/last.ckpt"), [*RUN, "--resume"], "last.ckpt: checkpoint", id="resume"),
        pytest.param(
            replace_text("recipe.toml", **NEWER_TOML), ["train", "--recipe", "recipe.toml", "--print-recipe"],
            "recipe.toml: recipe", id="recipe",
        ),
        pytest.param(
            replace_text("sensitivity.json"), [*REPORT, "--split", "test", "--sensitivity", "sensitivity.json"],
            "sensitivity.json: sensitivity", id="sensitivity",
        ),
    ],
)  # fmt: skip
def test_a_newer_file_is_refused(
    change: Callable[[Path], None], arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(V1, tmp_path / "v1")
    monkeypatch.chdir(tmp_path / "v1")
    change(Path())
    result = run(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert f"{message} format version is 2, this asl-kit reads version 1\n" in result.stderr
    assert "hint: " in result.stderr


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(MANIFEST.replace("version = 1", "version = 2\nunheard_of = 3"))
    with pytest.raises(AslKitError, match=r"tiny\.toml: manifest format version is 2, this asl-kit reads version 1$"):
        read_manifest(tmp_path / "tiny.toml")


@pytest.mark.slow
def test_the_files_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written today has the layout of the newest folder; if not, a format needs a new version and files."""
    monkeypatch.chdir(tmp_path)
    make()

    def names(folder: Path) -> set[str]:
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        return files - {"run/.lock"}  # empty, of the process that trained

    def keys(value: Any) -> Any:
        return {key: keys(item) for key, item in value.items()} if isinstance(value, dict) else None

    assert names(tmp_path) == names(V1)
    assert sum(path.stat().st_size for path in V1.rglob("*") if path.is_file()) < 200_000
    for name in ("annotations.json", "features.zarr/zarr.json", "features.zarr/videos/a/zarr.json", "sensitivity.json"):
        now, then = (json.loads((folder / name).read_bytes()) for folder in (tmp_path, V1))
        if name == "features.zarr/zarr.json":  # a spec may come to say more
            then["attributes"]["spec"] |= dict.fromkeys(now["attributes"]["spec"])
        assert keys(now) == keys(then), name
