"""TV-L1 (Zach, Pock and Bischof, DAGM 2007), as OpenCV's contributed modules have it, with OpenCV's parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from asl_extract.weights import DEFAULT
from asl_kit.errors import MissingDependencyError, UsageError


class TVL1:
    """TV-L1 on the CPU, one pair of frames after the other; a `FlowMethod`. Make it with `open_method`.

    Parameters
    ----------
    opencv : module
        OpenCV's.
    """

    weights = ""
    weights_sha256 = None

    def __init__(self, opencv: Any) -> None:
        self.description = f"tvl1, opencv {opencv.__version__}"
        self._opencv = opencv
        self._method = opencv.optflow.DualTVL1OpticalFlow_create()

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the motion from each first to its second frame: (N, 3, H, W) from 0 to 255 -> (N, 2, H, W)."""
        flows = [
            self._method.calc(self._gray(before), self._gray(after), None)
            for before, after in zip(first, second, strict=True)
        ]
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).to(first.device)

    def _gray(self, image: Tensor) -> Any:
        """Return the image in 8 bits of gray: (3, H, W) -> (H, W)."""
        pixels = image.round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
        return self._opencv.cvtColor(pixels, self._opencv.COLOR_RGB2GRAY)


def published_weights(name: str) -> str:
    """Return no name: the method has no weights."""
    return ""


def open_method(name: str, *, weights: str, device: torch.device) -> TVL1:
    """Return TV-L1; see `asl_extract.flow.get_flow_method`."""
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
    return TVL1(cv2)
