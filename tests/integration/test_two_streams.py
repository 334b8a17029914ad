"""RGB and optical flow, from video files to detections: two stores, one model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.support import make_annotation_set, write_video

from asl_extract.backbones import get_backbone
from asl_kit.annotations import write_annotations
from asl_kit.store import FeatureStore

SMALL = (
    "model.width=16", "model.attention_heads=2", "model.attention_window=5", "model.stem_blocks=1",
    "optimizer.batch_size=1", "optimizer.epochs=2", "optimizer.warmup_epochs=1",
)  # fmt: skip
WINDOWS = ("--window", "6", "--stride", "1", "--size", "32", "--device", "cpu", "--dtype", "float32")


def succeed(*arguments: str | Path) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, annotations, weights of I3D for flow and of RAFT, and a store of each stream."""
    folder = tmp_path_factory.mktemp("two streams")
    (folder / "videos").mkdir()
    rows = {}
    for number, split in enumerate(("train", "train", "validation")):
        write_video(folder / "videos" / f"video {number}.mp4", frames=9 + number, fps=10, size=(64, 48))
        rows[f"video {number}"] = (split, [(0.1, 0.4, "push"), (0.5, 0.8, "pull")])
    write_annotations(make_annotation_set(rows, ["push", "pull"]), folder / "annotations.json")
    torch.manual_seed(4)
    torch.save(get_backbone("i3d_flow").build(224).state_dict(), folder / "flow.pt")
    common = ("extract", folder / "videos", *WINDOWS)
    succeed(*common, "-o", folder / "rgb.zarr", "--backbone", "i3d_rgb", "--weights", "random")
    succeed(
        *common, "-o", folder / "flow.zarr", "--backbone", "i3d_flow", "--weights", folder / "flow.pt",
        "--flow", "raft_small", "--flow-weights", "random",
    )  # fmt: skip
    return folder


def test_stores_lie_on_one_grid_and_say_how_they_were_made(folder: Path) -> None:
    rgb, flow = FeatureStore.open(folder / "rgb.zarr"), FeatureStore.open(folder / "flow.zarr")
    assert rgb.video_ids() == flow.video_ids() == ["video 0", "video 1", "video 2"]
    for video_id in rgb.video_ids():
        assert rgb.info(video_id).grid == flow.info(video_id).grid
        assert np.isfinite(flow.read(video_id)).all()
        assert flow.read(video_id).std(axis=0).max() > 0
    assert (rgb.spec.flow, rgb.spec.flow_weights, rgb.spec.flow_weights_sha256) == ("", "", None)
    assert (flow.spec.flow, flow.spec.flow_weights) == ("raft_small, 12 iterations", "random")
    assert len(str(flow.spec.flow_weights_sha256)) == 64
    assert flow.spec.weights == "flow.pt"


def test_rerun_goes_on_and_another_flow_is_refused(folder: Path) -> None:
    again = ("extract", folder / "videos", *WINDOWS, "-o", folder / "flow.zarr", "--backbone", "i3d_flow")
    files = ("--weights", folder / "flow.pt")
    assert (
        "0 videos extracted, 3 already in the store"
        in run(*again, *files, "--flow", "raft_small", "--flow-weights", "random").output
    )
    result = run(*again, *files, "--flow", "tvl1")
    assert result.exit_code == 2
    assert "flow: 'raft_small, 12 iterations' against 'tvl1, opencv" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("i3d_flow", [], "i3d_flow looks at optical flow, and no method was named that computes it"),
        (
            "i3d_rgb",
            ["--flow", "tvl1"],
            "i3d_rgb looks at the video's own frames, not at optical flow, got --flow tvl1",
        ),
        ("i3d_rgb", ["--flow-weights", "random"], "--flow-weights random is given without --flow"),
        ("i3d_flow", ["--flow", "tvl1", "--flow-weights", "x.pth"], "tvl1 has no weights, got --flow-weights x.pth"),
    ],
    ids=["no method", "rgb", "weights alone", "weights of tvl1"],
)
def test_settings_that_do_not_fit(
    backbone: str, options: list[str], message: str, folder: Path, tmp_path: Path
) -> None:
    result = run(
        "extract",
        folder / "videos",
        *WINDOWS,
        "-o",
        tmp_path / "x",
        "--backbone",
        backbone,
        "--weights",
        "random",
        *options,
    )
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not (tmp_path / "x").exists()


def test_train_on_both_and_predict(folder: Path, tmp_path: Path) -> None:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    stores = f"{folder / 'rgb.zarr'},{folder / 'flow.zarr'}"
    succeed("train", "--annotations", folder / "annotations.json", "--features", stores, "--out", tmp_path, *settings)

    predict = ("predict", folder / "videos" / "video 2.mp4", "--checkpoint", tmp_path / "model.ckpt", "--device", "cpu")
    result = run(*predict, "-o", tmp_path / "detections.json")
    assert result.exit_code == 2
    assert "features were made with the weights file 'flow.pt', which was not given" in result.output

    result = run(*predict, "-o", tmp_path / "detections.json", "--weights", folder / "flow.pt")
    assert result.exit_code == 2
    assert "--weights is given 1 times, but the model takes features of 2: i3d_rgb, i3d_flow" in result.output

    succeed(*predict, "-o", tmp_path / "detections.json", "--weights", "random", "--weights", folder / "flow.pt")
    detections = json.loads((tmp_path / "detections.json").read_text())
    assert detections["results"]["video 2"]
