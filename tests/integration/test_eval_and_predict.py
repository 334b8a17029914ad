"""One model on one video, from stored features and from the file: the same detections."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.support import make_annotation_set, write_model, write_video

from asl_kit.annotations import write_annotations
from asl_kit.cli import main
from asl_kit.detections.json_format import read_predictions
from asl_kit.store import FeatureStore

STRIDES = (16, 4)


def succeed(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(word) for word in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, its annotations, and its features in two stores of different windows and strides."""
    folder = tmp_path_factory.mktemp("eval and predict")
    write_video(folder / "video.mp4", frames=331)
    rows = {"video": ("test", [(2.0, 9.0, "jump"), (12.0, 30.0, "run")])}
    write_annotations(make_annotation_set(rows, ["jump", "run"]), folder / "annotations.json")
    for stride in STRIDES:
        settings = ("--backbone", "x3d_xs", "--weights", "random", "--size", "32", "--dtype", "float32")
        windows = ("--window", str(2 * stride), "--stride", str(stride), "--device", "cpu")
        succeed("extract", folder / "video.mp4", "-o", folder / f"{stride}.zarr", *settings, *windows)
    return folder


@pytest.mark.parametrize(
    "data",
    [{}, {"resize_length": 64}, {"resize_length": 17}, {"time_scale": 2}],
    ids=["not resized", "longer", "shorter", "twice as many"],
)
@pytest.mark.parametrize("order", [STRIDES, STRIDES[::-1]], ids=["coarse first", "fine first"])
def test_the_same_detections(folder: Path, order: tuple[int, int], data: dict[str, int], tmp_path: Path) -> None:
    """Bit for bit: streams of different lengths are interpolated once, directly onto the grid of the network."""
    stores = [FeatureStore.open(folder / f"{stride}.zarr") for stride in order]
    assert sorted(store.info("video").grid.length for store in stores) == [19, 81]
    specs = [store.spec for store in stores]
    model = write_model(tmp_path / "model.ckpt", *specs, data=data, stem_blocks=0)
    common = ("--checkpoint", model, "--device", "cpu")
    features = ",".join(str(store.path) for store in stores)
    succeed(*("eval", *common, "--annotations", folder / "annotations.json"), "--features", features, "--out", tmp_path)
    succeed("predict", folder / "video.mp4", *common, "-o", tmp_path / "predicted.json")
    evaluated = (tmp_path / "detections.json").read_bytes()
    assert evaluated.count(b"segment") > 10
    assert (tmp_path / "predicted.json").read_bytes() == evaluated


def test_several_models(folder: Path, tmp_path: Path) -> None:
    """The same detections from stores and from the video; of all streams, each model gets those that it takes."""
    specs = [FeatureStore.open(folder / f"{stride}.zarr").spec for stride in STRIDES]
    both, one = write_model(tmp_path / "both.ckpt", *specs), write_model(tmp_path / "one.ckpt", specs[0], width=32)
    common = ("--checkpoint", both, "--checkpoint", one, "--device", "cpu")
    features = ",".join(str(folder / f"{stride}.zarr") for stride in STRIDES)
    scored = ("--annotations", folder / "annotations.json", "--features", features)
    files = []
    for weights in ("1,1", "3,1"):
        out = tmp_path / weights
        files.append(out / "detections.json")
        succeed("eval", *common, *scored, "--fusion-weights", weights, "--out", out)
        succeed("predict", folder / "video.mp4", *common, "--fusion-weights", weights, "-o", out / "predicted.json")
        assert (out / "predicted.json").read_bytes() == files[-1].read_bytes()
    assert files[0].read_bytes() != files[1].read_bytes()
    printed = succeed("fuse", *files, "-o", tmp_path / "fused.json")
    assert re.search(r"fused\.json: [0-9,]+ detections in 1 videos, from 2 files", printed.replace("\n", " "))
    assert read_predictions(tmp_path / "fused.json").video_ids == ("video",)
