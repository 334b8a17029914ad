"""The timing of imported features, and whether it agrees with the durations of the videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import FeatureError
from asl_kit.grid import FeatureGrid
from asl_kit.manifests.schema import FeatureSet
from asl_kit.store.spec import ExtractionSpec

_RATES = (10.0, 15.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0)
_STRIDE_FACTORS = (0.25, 0.5, 2.0, 4.0)
_FITTING_SHARE = 0.95
"""Share of the videos that a suggestion must fit."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing of all features of an import."""

    window_frames: int = 0
    """Frames that one feature covers; 0: not known, if resized."""
    stride_frames: int = 0
    """Frames from one feature to the next; 0: not known, if resized."""
    fps: float | None = None
    """Frame rate of these frames; None: the rate of each video."""
    offset_s: float = 0.0
    """Time at which the first window starts."""
    resized: bool = False
    """Whether the features of each video were resized to span the whole video."""
    resized_to: int | None = None
    """Number of features that all videos were resized to, if known."""

    @classmethod
    def of(cls, features: FeatureSet) -> Timing:
        """Return the timing of a preset."""
        return cls(
            features.window_frames,
            features.stride_frames,
            features.fps,
            features.offset_s,
            features.resized_to is not None,
            features.resized_to,
        )

    def __str__(self) -> str:
        if self.resized:
            return "resized: the features of each video span the whole video"
        rate = "of each video" if self.fps is None else f"{self.fps:g}"
        offset = f", the first starting at {self.offset_s:g} s" if self.offset_s else ""
        return f"windows of {self.window_frames} frames, one every {self.stride_frames}, fps {rate}{offset}"

    def spec(self, *, dimension: int, weights: str) -> ExtractionSpec:
        """Return the spec of the store for these features."""
        offset = f", offset {self.offset_s:g} s" if self.offset_s else ""
        return ExtractionSpec(
            backbone="imported",
            weights=weights,
            feature_dim=dimension,
            window_frames=self.window_frames,
            stride_frames=self.stride_frames,
            fps=self.fps,
            clip_frames=0,
            sampling="resized" if self.resized else f"imported{offset}",
        )

    def rate(self, video_fps: float | None) -> float:
        """Return the frame rate in which a video's frames are counted.

        Raises
        ------
        FeatureError
            If it is not known.
        """
        fps = self.fps if self.fps is not None else video_fps
        if fps is None:
            raise FeatureError("its frame rate is not known", hint="the annotations do not state it: give --fps")
        return fps

    def grid(self, length: int, *, video_fps: float | None, duration_s: float | None) -> FeatureGrid:
        """Return the grid of a video with `length` features.

        Raises
        ------
        FeatureError
            If the video's frame rate or duration is needed but not known, or the length differs from the preset's.
        """
        if not self.resized:
            windows = FeatureGrid.from_windows(
                fps=self.rate(video_fps),
                window_frames=self.window_frames,
                stride_frames=self.stride_frames,
                length=length,
            )
            return windows.shifted(self.offset_s)
        if duration_s is None:
            raise FeatureError("resized features need the video's duration")
        if self.resized_to is not None and length != self.resized_to:
            raise FeatureError(f"{length} features, expected {self.resized_to}: all videos are resized to this length")
        step_s = duration_s / length
        return FeatureGrid(step_s / 2, step_s, length)

    def end_s(self, grid: FeatureGrid, fps: float) -> float:
        """Return the end of the last window of a grid that is not resized."""
        return grid.to_seconds(grid.length - 1.0) + self.window_frames / 2 / fps

    def tolerance_s(self, fps: float) -> float:
        """Return the tolerated difference of features' end and duration: a window, or a stride if that is longer."""
        return max(self.window_frames, self.stride_frames) / fps


def part_of_parent(grid: FeatureGrid, start_s: float, end_s: float) -> tuple[slice, FeatureGrid]:
    """Return which features of a long video are centred in [start_s, end_s), and their grid relative to start_s.

    Raises
    ------
    FeatureError
        If there are none.

    Examples
    --------
    >>> part_of_parent(FeatureGrid(0.5, 1.0, 100), 10.0, 13.0)
    (slice(10, 13, None), FeatureGrid(first_center_s=0.5, step_s=1.0, length=3))
    """
    first, stop = (
        min(max(math.ceil(round(grid.to_index(seconds), 6)), 0), grid.length) for seconds in (start_s, end_s)
    )
    if first >= stop:
        raise FeatureError(
            f"no feature of the parent video is centred in its part, {start_s:g} to {end_s:g} s:"
            f" they cover {grid.start_s:.2f} to {grid.end_s:.2f} s"
        )
    return slice(first, stop), grid.crop(first, stop).shifted(-start_s)


@dataclass(frozen=True, slots=True)
class Length:
    """The end of a video's features compared with its duration."""

    video_id: str
    """Id of the video."""
    features: int
    """Number of its features."""
    fps: float
    """Frame rate in which the windows are counted."""
    end_s: float
    """End of the last window."""
    duration_s: float
    """Duration according to the annotations."""
    tolerance_s: float
    """Tolerated difference of the two."""
    whole: bool = True
    """False if the features are a part of those of a parent video."""

    @property
    def fits(self) -> bool:
        """Whether the features end where the video ends."""
        return abs(self.end_s - self.duration_s) <= self.tolerance_s

    def __str__(self) -> str:
        return (
            f"{self.video_id}: {self.features} features end at {self.end_s:.2f} s, the video at {self.duration_s:.2f} s"
        )


def suggest(timing: Timing, lengths: Sequence[Length]) -> list[str]:
    """Return options that would make nearly all lengths fit, if the given ones fit fewer than half of them."""
    whole = [length for length in lengths if length.whole]
    if not whole or timing.resized or sum(length.fits for length in whole) * 2 > len(whole):
        return []
    counts = np.array([length.features for length in whole], dtype=np.float64)
    rates = np.array([length.fps for length in whole])
    durations_s = np.array([length.duration_s for length in whole])

    def fit(other: Timing, fps: NDArray[np.float64]) -> bool:
        ends_s = other.offset_s + ((counts - 1) * other.stride_frames + other.window_frames) / fps
        tolerances_s = max(other.window_frames, other.stride_frames) / fps
        return float(np.mean(np.abs(ends_s - durations_s) <= tolerances_s)) >= _FITTING_SHARE

    strides = [timing.stride_frames * factor for factor in _STRIDE_FACTORS]
    found = [
        f"--stride {stride:g}"
        for stride in strides
        if stride >= 1 and stride == int(stride) and fit(replace(timing, stride_frames=int(stride)), rates)
    ]
    found += [f"--fps {rate:g}" for rate in _RATES if rate != timing.fps and fit(timing, np.full(len(whole), rate))]
    return found[:2]
