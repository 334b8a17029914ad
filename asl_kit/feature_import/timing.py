"""Where in time imported features lie, and whether that agrees with the videos' durations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import FeatureError, UsageError
from asl_kit.grid import FeatureGrid
from asl_kit.manifests.schema import FeatureSet
from asl_kit.store.spec import IMPORTED, MAX_WINDOW_FRAMES, ExtractionSpec

_RATES = (10.0, 15.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0)
_STRIDE_FACTORS = (0.25, 0.5, 2.0, 4.0)
_MOST = 0.95
"""Share of the videos that a suggestion must fit."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How the features of every video of an import lie in time.

    Parameters
    ----------
    window_frames, stride_frames : int
        Frames that a feature looks at, and from one feature to the next; 0: not known, if resized.
    fps : float, optional
        Frame rate of the frames counted above; None: each video's own.
    offset_s : float
        Time at which the first window starts.
    resized : bool
        Whether each video's features were resized, from its begin to its end.
    resized_to : int, optional
        Number of features that all videos were resized to, if that is known.
    """

    window_frames: int = 0
    stride_frames: int = 0
    fps: float | None = None
    offset_s: float = 0.0
    resized: bool = False
    resized_to: int | None = None

    @classmethod
    def of(cls, features: FeatureSet) -> Timing:
        """Return the timing that a preset states."""
        return cls(
            features.window_frames,
            features.stride_frames,
            features.fps,
            features.offset_s,
            features.resized_to is not None,
            features.resized_to,
        )

    @classmethod
    def of_options(
        cls,
        *,
        window_frames: int | None,
        stride_frames: int | None,
        fps: float | None,
        offset_s: float | None,
        resized: bool,
    ) -> Timing:
        """Return the timing that a user states.

        Raises
        ------
        UsageError
            If something is missing, contradictory or out of range.
        """
        if resized:
            given = {"--window": window_frames, "--stride": stride_frames, "--fps": fps, "--offset-s": offset_s}
            for option, value in given.items():
                if value is not None:
                    raise UsageError(f"--resized takes the grid from each video's duration: leave out {option}")
            return cls(resized=True)
        if window_frames is None or stride_frames is None:
            missing = [name for name, value in (("window", window_frames), ("stride", stride_frames)) if value is None]
            raise UsageError(
                f"when the features lie is not known: --{' and --'.join(missing)} missing",
                hint="give --window, --stride and --fps in frames of the extraction, or a --preset,"
                " or --resized for features of a fixed length",
            )
        if not (1 <= window_frames <= MAX_WINDOW_FRAMES and 1 <= stride_frames <= MAX_WINDOW_FRAMES):
            raise UsageError(
                f"--window and --stride are {window_frames} and {stride_frames}, expected 1 or more,"
                f" at most {MAX_WINDOW_FRAMES}"
            )
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise UsageError(f"--fps is {fps}, expected a number above 0")
        if offset_s is not None and not math.isfinite(offset_s):
            raise UsageError(f"--offset-s is {offset_s}, expected a finite number")
        return cls(window_frames, stride_frames, fps, offset_s or 0.0)

    def __str__(self) -> str:
        if self.resized:
            return "resized: each video's features reach from its begin to its end"
        rate = "each video's own" if self.fps is None else f"{self.fps:g}"
        offset = f", the first starts at {self.offset_s:g} s" if self.offset_s else ""
        return f"windows of {self.window_frames} frames, one every {self.stride_frames}, fps {rate}{offset}"

    def spec(self, *, dimension: int, weights: str) -> ExtractionSpec:
        """Return the record of these features that goes with the store."""
        offset = f", offset {self.offset_s:g} s" if self.offset_s else ""
        return ExtractionSpec(
            backbone=IMPORTED,
            weights=weights,
            feature_dim=dimension,
            window_frames=self.window_frames,
            stride_frames=self.stride_frames,
            fps=self.fps,
            clip_frames=0,
            sampling="resized" if self.resized else f"imported{offset}",
        )

    def rate(self, video_fps: float | None) -> float:
        """Return the frame rate to count a video's frames by.

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
        """Return where `length` features of a video lie.

        Raises
        ------
        FeatureError
            If the video's frame rate or duration is needed and not known, or the length is not the preset's.
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
            raise FeatureError(f"{length} features, expected {self.resized_to}, which all videos are resized to")
        step_s = duration_s / length
        return FeatureGrid(step_s / 2, step_s, length)

    def end_s(self, grid: FeatureGrid, fps: float) -> float:
        """Return where the last window of an unresized grid ends."""
        return grid.to_seconds(grid.length - 1.0) + self.window_frames / 2 / fps

    def tolerance_s(self, fps: float) -> float:
        """Return how far features and duration may be apart: a window, or a stride where that is longer."""
        return max(self.window_frames, self.stride_frames) / fps


def part_of_parent(grid: FeatureGrid, start_s: float, end_s: float) -> tuple[slice, FeatureGrid]:
    """Return which features of a long video are centred in [start_s, end_s), and their grid in that part's own time.

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
            f" they reach from {grid.start_s:.2f} to {grid.end_s:.2f} s"
        )
    return slice(first, stop), grid.crop(first, stop).shifted(-start_s)


@dataclass(frozen=True, slots=True)
class Length:
    """How far a video's features reach, against its duration.

    Parameters
    ----------
    video_id : str
        The video.
    features : int
        How many it has.
    fps : float
        Frame rate that the windows were counted by.
    end_s : float
        Where the last window ends.
    duration_s : float
        What the annotations say.
    tolerance_s : float
        How far the two may be apart.
    whole : bool
        False if the features are a part of a parent video's.
    """

    video_id: str
    features: int
    fps: float
    end_s: float
    duration_s: float
    tolerance_s: float
    whole: bool = True

    @property
    def fits(self) -> bool:
        """Whether the features end where the video does."""
        return abs(self.end_s - self.duration_s) <= self.tolerance_s

    def __str__(self) -> str:
        return (
            f"{self.video_id}: {self.features} features end at {self.end_s:.2f} s, the video at {self.duration_s:.2f} s"
        )


def suggest(timing: Timing, lengths: Sequence[Length]) -> list[str]:
    """Return the options that would make nearly all lengths fit, where those given fit under half of them."""
    whole = [length for length in lengths if length.whole]
    if not whole or timing.resized or sum(length.fits for length in whole) * 2 > len(whole):
        return []
    counts = np.array([length.features for length in whole], dtype=np.float64)
    rates = np.array([length.fps for length in whole])
    durations_s = np.array([length.duration_s for length in whole])

    def fit(other: Timing, fps: NDArray[np.float64]) -> bool:
        ends_s = other.offset_s + ((counts - 1) * other.stride_frames + other.window_frames) / fps
        tolerances_s = max(other.window_frames, other.stride_frames) / fps
        return float(np.mean(np.abs(ends_s - durations_s) <= tolerances_s)) >= _MOST

    strides = [timing.stride_frames * factor for factor in _STRIDE_FACTORS]
    found = [
        f"--stride {stride:g}"
        for stride in strides
        if stride >= 1 and stride == int(stride) and fit(replace(timing, stride_frames=int(stride)), rates)
    ]
    found += [f"--fps {rate:g}" for rate in _RATES if rate != timing.fps and fit(timing, np.full(len(whole), rate))]
    return found[:2]
