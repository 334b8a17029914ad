"""What users get wrong most often, by the public commands: one message that names it, and an exit code of 1 or 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from helpers.command_line import run
from helpers.support import make_spec, make_task, write_video
from helpers.wrong_inputs import CASES, Case

from asl_kit.store import FeatureStore

EXTRACT = ("--backbone", "x3d_xs", "--weights", "random", "--size", "64", "--window", "8", "--stride", "8")


@dataclass
class Place:
    """A folder with a good task, a small trained model and a good video in it."""

    folder: Path
    annotations: Path
    features: Path
    checkpoint: Path
    video: Path

    def data(self) -> tuple[str, ...]:
        return ("--annotations", str(self.annotations), "--features", str(self.features))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    annotations, features = make_task(folder)
    write_video(folder / "good.mp4")
    small = ["model.width=16", "model.attention_heads=2", "model.attention_window=5", "optimizer.epochs=1"]
    settings = [word for setting in small for word in ("--set", setting)]
    data = ["--annotations", annotations, "--features", features]
    result = run("train", *data, "--out", folder / "run", *settings)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def place(source: Path, tmp_path: Path) -> Place:
    return Place(
        tmp_path,
        source / "annotations.json",
        source / "features.zarr",
        source / "run" / "model.ckpt",
        source / "good.mp4",
    )


def unknown_class(place: Place) -> tuple[str, ...]:
    document = json.loads(place.annotations.read_text(encoding="utf-8"))
    document["vocabularies"]["action"].append("juggling")
    path = place.folder / "out.json.annotations"
    path.write_text(json.dumps(document), encoding="utf-8")
    features = str(place.features)
    return ("eval", "--checkpoint", str(place.checkpoint), "--annotations", str(path), "--features", features)


def truncated_video(place: Place) -> tuple[str, ...]:
    write_video(place.folder / "whole.mp4", movflags="faststart", frames=60)
    content = (place.folder / "whole.mp4").read_bytes()
    path = place.folder / "cut.mp4"
    path.write_bytes(content[: len(content) * 6 // 10])
    return ("extract", str(path), "-o", str(place.folder / "store.zarr"), *EXTRACT)


def text_as_video(place: Place) -> tuple[str, ...]:
    path = place.folder / "notes.mp4"
    path.write_text("not a video\n" * 100, encoding="utf-8")
    return ("extract", str(path), "-o", str(place.folder / "store.zarr"), *EXTRACT)


def store_of_another_backbone(place: Place) -> tuple[str, ...]:
    store = place.folder / "store.zarr"
    FeatureStore.open_or_create(store, make_spec(backbone="r3d_18"))
    return ("extract", str(place.video), "-o", str(store), *EXTRACT)


def checkpoint_of_another_version(place: Place) -> tuple[str, ...]:
    path = place.folder / "old.ckpt"
    torch.save(torch.load(place.checkpoint, weights_only=True) | {"version": 99}, path)
    return ("predict", str(place.video), "--checkpoint", str(path), "-o", str(place.folder / "out.json"))


def features_not_finite(place: Place) -> tuple[str, ...]:
    annotations, features = make_task(place.folder)
    chunk = next(iter(sorted(FeatureStore.open(features).folder("video 1").glob("c*"))))
    data = bytearray(chunk.read_bytes())
    data[:4] = b"\x00\x00\xc0\x7f"  # NaN, as a faulty disk or another program might leave it
    chunk.write_bytes(data)
    out = str(place.folder / "run")
    return ("train", "--annotations", str(annotations), "--features", str(features), "--out", out)


def unknown_recipe_key(place: Place) -> tuple[str, ...]:
    return ("train", *place.data(), "--out", str(place.folder / "run"), "--set", "optimizer.lerning_rate=1e-3")


def no_video_with_features(place: Place) -> tuple[str, ...]:
    store = place.folder / "store.zarr"
    FeatureStore.open_or_create(store, make_spec())
    out = str(place.folder / "run")
    return ("train", "--annotations", str(place.annotations), "--features", str(store), "--out", out)


def features_of_another_backbone(place: Place) -> tuple[str, ...]:
    store = place.folder / "store.zarr"
    FeatureStore.open_or_create(store, make_spec(backbone="r3d_18"))
    annotations = str(place.annotations)
    return ("eval", "--checkpoint", str(place.checkpoint), "--annotations", annotations, "--features", str(store))


def folder_that_cannot_be_written(place: Place) -> tuple[str, ...]:
    (place.folder / "file").write_text("in the way", encoding="utf-8")
    return ("train", *place.data(), "--out", str(place.folder / "file" / "run"))


OF_A_MODEL: list[tuple[Callable[[Place], tuple[str, ...]], int, tuple[str, ...]]] = [
    (unknown_class, 1, ("model.ckpt", "juggling")),
    (truncated_video, 1, ("cut.mp4", "frames")),
    (text_as_video, 1, ("notes.mp4", "not a video")),
    (store_of_another_backbone, 2, ("store.zarr", "backbone", "r3d_18", "x3d_xs")),
    (checkpoint_of_another_version, 1, ("old.ckpt", "format version is 99", "version 1")),
    (features_not_finite, 1, ("features.zarr", "video 1", "feature 0", "not finite")),
    (unknown_recipe_key, 2, ("optimizer.lerning_rate", "unknown key")),
    (no_video_with_features, 1, ("store.zarr", "no video of split 'train' has features")),
    (features_of_another_backbone, 2, ("store.zarr", "backbone", "x3d_xs", "r3d_18")),
    (folder_that_cannot_be_written, 1, ("file", "Not a directory")),
]


@pytest.mark.parametrize(("make", "exit_code", "parts"), OF_A_MODEL, ids=[case[0].__name__ for case in OF_A_MODEL])
def test_wrong_input_of_a_model(
    make: Callable[[Place], tuple[str, ...]], exit_code: int, parts: tuple[str, ...], place: Place
) -> None:
    result = run(*make(place))
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    message = result.stderr
    for part in parts:
        assert part in message, message
    assert not (place.folder / "out.json").exists(), "nothing half-written"
    assert not (place.folder / "run" / "model.ckpt").exists()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name.replace(" ", "-")) for case in CASES if not case.shell]
)
def test_wrong_input(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    *before, last = case.steps
    for step in before:
        if callable(step):
            step(tmp_path)
        else:
            assert run(step).exit_code == 0
    assert isinstance(last, str)
    result = run(last)
    said = result.output if case.page is None else (tmp_path / case.page).read_text(encoding="utf-8")
    assert (result.exit_code, case.message in said) == (case.exit_code, True), result.output
    assert "Traceback" not in result.output
