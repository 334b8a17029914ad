"""The GPU computes what the CPU computes. Skipped without a GPU, unless ASL_KIT_REQUIRE_GPU=1."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.extraction import make_extractor
from helpers.networks import make_network
from helpers.support import make_task, write_video

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.1)])
def test_features(precision: str, tolerance: float, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", frames=60)
    settings = {"backbone": "r3d_18", "weights": "random", "window_frames": 16, "stride_frames": 8, "frame_size": 64}
    exact = make_extractor(**settings, device="cpu").extract(video).features
    found = make_extractor(**settings, device="cuda", precision=precision).extract(video).features
    np.testing.assert_allclose(found, exact, atol=tolerance * np.abs(exact).max())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_batches_across_videos(workers: int, batch_size: int, tmp_path: Path) -> None:
    """Features do not depend on what else is in the batch, nor on who decodes."""
    videos = [(str(i), write_video(tmp_path / f"{i}.mp4", frames=20 + 15 * i)) for i in range(4)]
    settings = {"backbone": "x3d_xs", "weights": "random", "window_frames": 16, "stride_frames": 4, "frame_size": 64}
    settings |= {"device": "cuda", "precision": "float32"}
    alone = make_extractor(**settings)
    together = make_extractor(**settings, batch_size=batch_size)
    found = dict(together.extract_all(videos, workers=workers))
    for video_id, video in videos:
        expected = alone.extract(video).features
        features = found[video_id].features  # type: ignore[union-attr]
        np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_network() -> None:
    torch.manual_seed(0)
    network = make_network(feature_dims=(8,), width=32, attention_window=9).eval()
    features, mask = torch.randn(2, 128, 8), torch.ones(2, 128, dtype=torch.bool)
    with torch.no_grad():
        exact = network(features, mask)
        found = network.cuda()(features.cuda(), mask.cuda())
    torch.testing.assert_close(found.logits.cpu(), exact.logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.offsets.cpu(), exact.offsets, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_training(precision: str, tmp_path: Path) -> None:
    annotations, features = make_task(tmp_path)
    settings = ["optimizer.epochs=3", "model.width=32", "model.attention_window=5", f"run.precision={precision}"]
    words = [word for setting in settings for word in ("--set", setting)]
    data = ["--annotations", annotations, "--features", features]
    result = run("train", *data, "--out", tmp_path / "run", "--device", "cuda", *words)
    assert result.exit_code == 0, result.output
    curve = [json.loads(line) for line in (tmp_path / "run" / "curve.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["total"]) for line in curve if line["group"] == "train")
