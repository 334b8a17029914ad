"""Optical flow on the GPU is that of the CPU, and reaches the backbone there. Skipped as in `test_agreement`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.extraction import make_extractor
from helpers.support import write_video

from asl_extract.flow.preparation import get_flow_method

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", ["raft_small", "raft_large"])
def test_raft(name: str) -> None:
    frames = torch.rand(3, 3, 128, 160, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        exact = get_flow_method(name, weights="random", device=torch.device("cpu"))(frames)
        found = get_flow_method(name, weights="random", device=torch.device("cuda"))(frames.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), exact, rtol=0, atol=0.02 * float(exact.abs().max()))


@pytest.mark.parametrize("flow", ["raft_small", "tvl1"])
def test_features(flow: str, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", frames=40)
    settings = {
        "backbone": "i3d_flow", "weights": "random", "flow": flow, "precision": "float32",
        "flow_weights": "default" if flow == "tvl1" else "random", "stride_frames": 8, "frame_size": 64,
    }  # fmt: skip
    exact = make_extractor(**settings, device="cpu").extract(video).features
    found = make_extractor(**settings, device="cuda").extract(video).features
    np.testing.assert_allclose(found, exact, atol=0.02 * np.abs(exact).max())
