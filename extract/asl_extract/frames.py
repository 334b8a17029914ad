"""Frames as input of a backbone: each is resized, cropped and normalised once, on the device.

Shapes: N frames, height H, width W, backbone input size S.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ResizeRule:
    """How a publisher turns a frame of any size into a square input: resize, then centre crop.

    Parameters
    ----------
    size : int or (int, int)
        Length of the short side, which keeps the aspect ratio; or (height, width), which may not.
    crop : int
        Height and width of the centre crop, in pixels.
    rounded : bool
        Whether resized values are rounded to integers, as when a uint8 image is resized.
    interpolation : {'bilinear', 'bicubic'}
        Interpolation between pixels.
    antialias : bool
        Whether downsampling averages over all pixels that an output pixel covers.
    """

    size: int | tuple[int, int]
    crop: int
    rounded: bool
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = False

    def scaled_to(self, crop: int) -> ResizeRule:
        """Return the rule for another input size, with the same part of the frame.

        Examples
        --------
        >>> ResizeRule(182, 160, rounded=False).scaled_to(112)
        ResizeRule(size=127, crop=112, rounded=False)
        """
        if crop == self.crop:
            return self
        if isinstance(self.size, int):
            return replace(self, size=self._scaled(self.size, crop), crop=crop)
        height, width = self.size
        return replace(self, size=(self._scaled(height, crop), self._scaled(width, crop)), crop=crop)

    def _scaled(self, length: int, crop: int) -> int:
        return max(crop, round(length * crop / self.crop))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of a frame after resizing, before the crop.

        Examples
        --------
        >>> ResizeRule(182, 160, rounded=False).resized(256, 340)
        (182, 241)
        """
        if not isinstance(self.size, int):
            return self.size
        short, long = sorted((height, width))
        long = math.floor(self.size * long / short)
        return (self.size, long) if height <= width else (long, self.size)

    def resize(self, frames: NDArray[np.uint8] | Tensor, *, device: torch.device) -> Tensor:
        """Return resized frames on `device`, float32 from 0 to 255: uint8 (N, H, W, 3) -> (N, 3, new H, new W)."""
        # Planar channels: torch resizes them several times as fast as interleaved ones.
        pixels = torch.as_tensor(frames).to(device).permute(0, 3, 1, 2).contiguous().float()
        height, width = self.resized(*pixels.shape[-2:])
        if (height, width) != tuple(pixels.shape[-2:]):
            pixels = F.interpolate(
                pixels,
                size=(height, width),
                mode=self.interpolation,
                align_corners=False,
                antialias=self.antialias,
            )
            if self.rounded:
                pixels = pixels.round_().clamp_(0, 255)  # bicubic overshoots
        return pixels

    def centre(self, images: Tensor) -> Tensor:
        """Return the centre crop, a view: (..., H, W) -> (..., S, S)."""
        top, left = (round((length - self.crop) / 2) for length in images.shape[-2:])
        return images[..., top : top + self.crop, left : left + self.crop]

    def describe(self) -> str:
        """Return the rule in words, as an `ExtractionSpec` records it."""
        size = f"short side {self.size}" if isinstance(self.size, int) else f"{self.size[0]}x{self.size[1]} (HxW)"
        rounded = ", rounded to uint8" if self.rounded else ""
        antialias = "antialias" if self.antialias else "no antialias"
        return f"{size}, {self.interpolation}, {antialias}{rounded}, centre crop {self.crop}"


@dataclass(frozen=True)
class LibraryTransform:
    """Another library's own preparation of frames, used as it is: no rule of ours gives the same values.

    Parameters
    ----------
    apply : callable
        Turns frames, uint8 (N, 3, H, W), into the normalised input of a backbone, float32 (N, 3, S, S).
    crop : int
        Height and width of the result, S, in pixels.
    description : str
        What it does, as an `ExtractionSpec` records it.
    """

    apply: Callable[[Tensor], Tensor]
    crop: int
    description: str

    def scaled_to(self, crop: int) -> LibraryTransform:
        """Return this transform, which makes one size only."""
        return self

    def describe(self) -> str:
        """Return the description."""
        return self.description


class VideoPreparer(Protocol):
    """Prepares the frames of one video, block by block; it returns as many frames as it is given, in order."""

    def __call__(self, frames: NDArray[np.uint8] | Tensor) -> Tensor:
        """Take the next frames, uint8 (N, H, W, 3), and return those that are prepared: (M, S, S, C)."""

    def finish(self) -> Tensor:
        """Return the remaining frames at the end of the video: (K, S, S, C)."""


class Preparer(Protocol):
    """Prepares the frames of videos.

    Attributes
    ----------
    device : torch.device
        Device of the work and of the result.
    """

    device: torch.device

    def stream(self) -> VideoPreparer:
        """Return a preparer for the frames of one video."""


class FramePreparer:
    """Turns decoded frames into the input of a backbone.

    Parameters
    ----------
    rule : ResizeRule or LibraryTransform
        How to resize and crop; or the whole preparation.
    mean, std : sequence of float
        Per channel; values in [0, 1] are shifted by `mean` and divided by `std`. A `LibraryTransform` does so itself.
    device : torch.device
        Device of the work and of the result.
    """

    def __init__(
        self,
        *,
        rule: ResizeRule | LibraryTransform,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
    ) -> None:
        self.rule = rule
        self.device = device
        # (x / 255 - mean) / std as one multiplication and one addition.
        self._scale = torch.tensor([1 / (255 * s) for s in std], device=device)
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device)

    def stream(self) -> VideoPreparer:
        """Return this object: frames are prepared independently, so one object serves all videos."""
        return self

    def finish(self) -> Tensor:
        """Return no frames: none are held back."""
        return torch.empty((0, self.rule.crop, self.rule.crop, 3), device=self.device)

    def __call__(self, frames: NDArray[np.uint8] | Tensor) -> Tensor:
        """Return prepared frames, float32: (N, H, W, 3) uint8 -> (N, S, S, 3)."""
        if isinstance(self.rule, LibraryTransform):
            return self.rule.apply(torch.as_tensor(frames).to(self.device).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        centre = self.rule.centre(self.rule.resize(frames, device=self.device)).permute(0, 2, 3, 1)
        return centre * self._scale + self._shift
