"""TV-L1 (Zach, Pock and Bischof, DAGM 2007), from OpenCV's contributed modules, with OpenCV's default parameters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_extract.backbones.weights import DEFAULT
from asl_kit.errors import MissingDependencyError, UsageError

Image = NDArray[Any]


class TVL1:
    """TV-L1 on the CPU, several pairs of frames at a time; a `FlowMethod`. Create it with `open_method`.

    Parameters
    ----------
    opencv : module
        The module ``cv2``.
    threads : int
        Pairs processed at a time.
    """

    weights = ""
    weights_sha256 = None
    computes_on_host = True

    def __init__(self, opencv: Any, *, threads: int) -> None:
        self.description = f"tvl1, opencv {opencv.__version__}"
        self._opencv = opencv
        self._threads = ThreadPoolExecutor(threads)  # OpenCV releases the GIL

    def __call__(self, frames: Tensor) -> Tensor:
        """Return the motion from each frame to the next: (N + 1, 3, H, W) from 0 to 255 -> (N, 2, H, W)."""
        images = self._gray(frames)
        flows = np.stack(list(self._threads.map(self._flow, images[:-1], images[1:])))
        return torch.from_numpy(flows).permute(0, 3, 1, 2).to(frames.device)

    def _flow(self, before: Image, after: Image) -> Image:
        """Return the motion: (H, W) -> (H, W, 2)."""
        # The object of OpenCV has state: each call needs its own.
        flow: Image = self._opencv.optflow.DualTVL1OpticalFlow_create().calc(before, after, None)
        return flow

    def _gray(self, images: Tensor) -> list[Image]:
        """Return 8-bit grayscale images: (N, 3, H, W) -> N of (H, W)."""
        pixels = images.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return [self._opencv.cvtColor(image, self._opencv.COLOR_RGB2GRAY) for image in pixels]


def published_weights(name: str) -> str:
    """Return an empty name: the method has no weights."""
    return ""


def open_method(name: str, *, weights: str, device: torch.device) -> TVL1:
    """Return TV-L1; see `asl_extract.flow.preparation.get_flow_method`."""
    if weights != DEFAULT:
        raise UsageError(f"{name} has no weights, got --flow-weights {weights}")
    try:
        import cv2
    except ImportError as fault:
        raise MissingDependencyError(
            f"flow {name!r} needs OpenCV: {fault}", hint='pip install "asl-kit[opencv]"'
        ) from fault
    if not hasattr(cv2, "optflow"):
        raise MissingDependencyError(
            f"flow {name!r} needs OpenCV's contributed modules, which the installed OpenCV {cv2.__version__} lacks",
            hint="pip uninstall opencv-python opencv-python-headless && pip install opencv-contrib-python-headless",
        )
    return TVL1(cv2, threads=torch.get_num_threads())
