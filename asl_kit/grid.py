"""The time grid: the time of each feature in a video.

Everything that turns seconds into feature indices, or back, goes through
`FeatureGrid`. Seconds are floats; intervals are half-open, [start, end).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class FeatureGrid:
    """Centre times of a sequence of features.

    Feature i is centred at ``first_center_s + i * step_s`` seconds.

    Parameters
    ----------
    first_center_s : float
        Centre of feature 0, in seconds.
    step_s : float
        Time between the centres of neighbouring features, in seconds; above 0.
    length : int
        Number of features; 0 or more.

    Raises
    ------
    ValueError
        If a value is not finite or out of range.

    Examples
    --------
    Windows of 16 frames, one every 4 frames, of a 30 fps video:

    >>> grid = FeatureGrid.from_windows(fps=30.0, window_frames=16, stride_frames=4, length=100)
    >>> round(grid.first_center_s, 4), round(grid.step_s, 4)
    (0.2667, 0.1333)
    >>> round(grid.to_index(0.4), 6)
    1.0
    >>> round(grid.to_seconds(1.0), 6)
    0.4
    """

    first_center_s: float
    step_s: float
    length: int

    def __post_init__(self) -> None:
        if not math.isfinite(self.first_center_s):
            raise ValueError(f"first_center_s must be finite, got {self.first_center_s}")
        if not (math.isfinite(self.step_s) and self.step_s > 0):
            raise ValueError(f"step_s must be a finite number above 0, got {self.step_s}")
        if self.length < 0:
            raise ValueError(f"length must be 0 or more, got {self.length}")

    @classmethod
    def from_windows(cls, *, fps: float, window_frames: int, stride_frames: int, length: int) -> FeatureGrid:
        """Return the grid of windows of `window_frames` frames, one every `stride_frames`.

        A window that starts at frame k is centred at ``(k + window_frames / 2) / fps``.
        """
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be a finite number above 0, got {fps}")
        if window_frames < 1 or stride_frames < 1:
            raise ValueError(f"window and stride must be 1 frame or more, got {window_frames} and {stride_frames}")
        return cls(window_frames / 2 / fps, stride_frames / fps, length)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> FeatureGrid:
        """Return the grid from the dict that `to_json` returned."""
        return cls(float(fields["first_center_s"]), float(fields["step_s"]), int(fields["length"]))

    def to_json(self) -> dict[str, float | int]:
        """Return the three numbers as a JSON-ready dict."""
        return {"first_center_s": self.first_center_s, "step_s": self.step_s, "length": self.length}

    def to_index(self, seconds: Number) -> Number:
        """Return the (fractional) feature index at a time; may lie outside [0, length)."""
        return (seconds - self.first_center_s) / self.step_s

    def to_seconds(self, index: Number) -> Number:
        """Return the time of a (fractional) feature index."""
        return self.first_center_s + index * self.step_s

    def centers_s(self) -> NDArray[np.float64]:
        """Return the centre of every feature, in seconds: (length,)."""
        return self.to_seconds(np.arange(self.length, dtype=np.float64))

    @property
    def start_s(self) -> float:
        """Start of the time that the grid covers, in seconds: half a step before the first centre."""
        return self.first_center_s - self.step_s / 2

    @property
    def end_s(self) -> float:
        """End of the time that the grid covers, in seconds: half a step after the last centre."""
        return self.start_s + self.length * self.step_s

    def crop(self, start: int, stop: int) -> FeatureGrid:
        """Return the grid of features ``[start, stop)``."""
        if not 0 <= start <= stop <= self.length:
            raise ValueError(f"crop [{start}, {stop}) is outside a grid of {self.length} features")
        return replace(self, first_center_s=self.to_seconds(float(start)), length=stop - start)

    def shifted(self, seconds: float) -> FeatureGrid:
        """Return the same grid `seconds` later."""
        return replace(self, first_center_s=self.first_center_s + seconds)

    def resized(self, length: int) -> FeatureGrid:
        """Return a grid of `length` features over the same time [start_s, end_s).

        This is the grid of features that are resampled by linear interpolation with ``align_corners=False``.
        """
        if self.length == 0 or length < 1:
            raise ValueError(f"cannot resize a grid of {self.length} features to {length}")
        step_s = (self.end_s - self.start_s) / length
        return FeatureGrid(self.start_s + step_s / 2, step_s, length)
