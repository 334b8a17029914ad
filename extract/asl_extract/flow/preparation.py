"""Optical flow as the input of a backbone: how far each pixel moves from one frame to the next.

It is prepared as by the authors of I3D (Carreira and Zisserman, CVPR 2017; README of
https://github.com/google-deepmind/kinetics-i3d): frames are resized, the flow between consecutive frames is
measured in pixels of the resized frame, truncated to [-20, 20], scaled to a fixed range, and centre-cropped.
Their method is TV-L1. The flow is not rounded to 8 bits, unlike in pipelines that store it as images. Such images
are read too: 0 to 255 stand for -20 to 20 pixels, as denseflow (``convertFlowToImage`` in
https://github.com/open-mmlab/denseflow, with its bound of 20) and EPIC-KITCHENS write them.

Shapes: N frames or pairs of frames, resized height H and width W, backbone input size S.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_extract.backbones.weights import DEFAULT
from asl_extract.frames import ResizeRule, VideoPreparer
from asl_kit.errors import UsageError

MAX_MOTION = 20.0
"""Motions are truncated to this many pixels along each axis."""

IMAGES = "images"
"""Stands for a method where the flow was computed before, and is read from images."""

_IMAGES_DESCRIPTION = f"{IMAGES}, 0 to 255 for -20 to 20 pixels"

FLOW_METHODS = {
    "raft_large": "asl_extract.flow.raft",
    "raft_small": "asl_extract.flow.raft",
    "tvl1": "asl_extract.flow.tvl1",
}
"""Module of each method; its ``open_method(name, weights, device)`` returns a `FlowMethod`, and
``published_weights(name)`` the name of its ``default`` weights."""


class FlowMethod(Protocol):
    """Computes optical flow.

    Attributes
    ----------
    description : str
        Name of the method and, after a comma, what else determines its result, as recorded in an `ExtractionSpec`.
    weights : str
        ``random``, the publisher's name for the weights, or the name of the file; empty if it has none.
    weights_sha256 : str, optional
        `state_sha256` of the weights.
    computes_on_host : bool
        Whether it computes on the CPU, wherever the frames are.
    """

    description: str
    weights: str
    weights_sha256: str | None
    computes_on_host: bool

    def __call__(self, frames: Tensor) -> Tensor:
        """Return the motion from each frame to the next.

        Parameters
        ----------
        frames : Tensor
            float32 RGB from 0 to 255: (N + 1, 3, H, W), N at least 1.

        Returns
        -------
        Tensor
            float32, to the right and downwards, in pixels: (N, 2, H, W).
        """


def get_flow_method(name: str, *, weights: str = DEFAULT, device: torch.device) -> FlowMethod:
    """Return an optical flow method by name.

    Parameters
    ----------
    name : str
        A name in `FLOW_METHODS`.
    weights : str
        ``random``, ``default`` or the path of a state dict, as in `load_backbone`; ``default`` for a method
        without weights.
    device : torch.device
        Where networks compute; TV-L1 is computed on the CPU.

    Raises
    ------
    UsageError
        If no method has that name, or it has no weights and some are given.
    MissingDependencyError
        If its package is not installed.
    MissingFileError, CheckpointError
        If the weights cannot be loaded.
    """
    method: FlowMethod = _module(name).open_method(name, weights=weights, device=device)
    return method


def published_weights(name: str) -> str:
    """Return the name of the weights that ``default`` loads for a method; empty if it has none.

    Raises
    ------
    UsageError
        If there is no method of that name.
    """
    published: str = _module(name).published_weights(name)
    return published


def _module(name: str) -> Any:
    if name not in FLOW_METHODS:
        raise UsageError(f"unknown method of optical flow {name!r}", hint=f"methods: {', '.join(FLOW_METHODS)}")
    return importlib.import_module(FLOW_METHODS[name])


class _MotionScale:
    """Truncates motion to -20 to 20 pixels, maps that to [0, 1], subtracts `mean` and divides by `std`."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, device: torch.device) -> None:
        self._scale = torch.tensor([1 / (2 * MAX_MOTION * s) for s in std], device=device)
        self._shift = torch.tensor([(0.5 - m) / s for m, s in zip(mean, std, strict=True)], device=device)

    def __call__(self, motion: Tensor) -> Tensor:
        """Return the backbone's input: pixels to the right and downwards, (N, 2, S, S) -> (N, S, S, 2)."""
        return motion.permute(0, 2, 3, 1).clamp(-MAX_MOTION, MAX_MOTION) * self._scale + self._shift


class FlowImagePreparer:
    """Turn images of optical flow into a flow backbone's input.

    Where images are resized, the motion that they hold is scaled with them, so that it is in pixels of the resized
    image, as computed flow is.

    Parameters
    ----------
    rule : ResizeRule
        How to resize and to crop.
    mean, std : sequence of float
        As for `FlowPreparer`.
    device : torch.device
        Device of the work and of the result.
    """

    description = _IMAGES_DESCRIPTION

    def __init__(self, *, rule: ResizeRule, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self.rule = rule
        self.device = device
        self._scaled = _MotionScale(mean, std, device=device)

    def stream(self) -> VideoPreparer:
        """Return this object: images are prepared independently, so one object serves all videos."""
        return self

    def finish(self) -> Tensor:
        """Return no frames: none are held back."""
        return torch.empty((0, self.rule.crop, self.rule.crop, 2), device=self.device)

    def __call__(self, frames: NDArray[np.uint8] | Tensor) -> Tensor:
        """Return prepared flow: horizontal and vertical, (N, H, W, 2) uint8 -> (N, S, S, 2)."""
        images = self.rule.resize(frames, device=self.device)
        height, width = frames.shape[1:3]
        ratios = torch.tensor([images.shape[3] / width, images.shape[2] / height]).to(self.device, non_blocking=True)
        motion = self.rule.centre(images) * (2 * MAX_MOTION / 255) - MAX_MOTION
        return self._scaled(motion * ratios[:, None, None])


class FlowPreparer:
    """Turn decoded frames into a flow backbone's input. Prepared frame i is the flow from frame i to frame i + 1.

    The last frame has no next one: its flow is that of the frame before. Between two equal frames the flow is 0,
    whatever the method. Flow is always computed in float32.

    Parameters
    ----------
    rule : ResizeRule
        How to resize frames and to crop the flow.
    mean, std : sequence of float
        For horizontal and vertical flow. Motions from -20 to 20 pixels are mapped to [0, 1], shifted by `mean` and
        divided by `std`. With 0.5 and 0.5 the result is in [-1, 1], and no motion is 0.
    method : FlowMethod
        Computes the flow.
    device : torch.device
        Device of resizing and of the result.
    """

    def __init__(
        self,
        *,
        rule: ResizeRule,
        mean: Sequence[float],
        std: Sequence[float],
        method: FlowMethod,
        device: torch.device,
    ) -> None:
        self.rule = rule
        self.method = method
        self.device = device
        self._scaled = _MotionScale(mean, std, device=device)

    def stream(self) -> VideoPreparer:
        """Return a preparer for the frames of one video."""
        return _FlowStream(self)

    def between(self, frames: Tensor) -> Tensor:
        """Return prepared flow between resized frames: (N + 1, 3, H, W), from 0 to 255 -> (N, S, S, 2)."""
        moved = (frames[:-1] != frames[1:]).flatten(1).any(1)
        flow = frames.new_zeros((len(moved), 2, *frames.shape[2:]))
        with torch.autocast(self.device.type, enabled=False):
            if self.device.type != "cpu" and not self.method.computes_on_host:
                if len(flow):  # whether frames are equal is known on the GPU only, and the host does not wait for it
                    flow = torch.where(moved[:, None, None, None], self.method(frames), flow)
            elif moved.any():
                # Without the repeated frames, the motions between those that are left are the ones asked for.
                flow[moved] = self.method(frames[torch.cat([moved.new_ones(1), moved])])
        return self._scaled(self.rule.centre(flow))


class _FlowStream:
    """The flow of one video; it keeps the last frame and its flow for the next block."""

    def __init__(self, preparer: FlowPreparer) -> None:
        self._preparer = preparer
        self._last_frame: Tensor | None = None
        self._last_flow: Tensor | None = None

    def __call__(self, frames: NDArray[np.uint8] | Tensor) -> Tensor:
        """Return the flow between the last frame and the next ones: uint8 (N, H, W, 3) -> (N or N - 1, S, S, 2)."""
        resized = self._preparer.rule.resize(frames, device=self._preparer.device)
        if self._last_frame is not None:
            resized = torch.cat([self._last_frame, resized])
        flow = self._preparer.between(resized)
        if len(resized):
            self._last_frame = resized[-1:].clone()
        if len(flow):
            self._last_flow = flow[-1:].clone()
        return flow

    def finish(self) -> Tensor:
        """Return the last frame's flow, a copy of the previous one: (1, S, S, 2), or (0, S, S, 2) without frames."""
        if self._last_flow is not None:
            return self._last_flow
        size = self._preparer.rule.crop
        if self._last_frame is None:
            return torch.empty((0, size, size, 2), device=self._preparer.device)
        return self._preparer.between(self._last_frame.repeat(2, 1, 1, 1))
