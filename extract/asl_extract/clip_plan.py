"""The frames of a video that make each clip: arithmetic only, without opening the video.

There are three steps:

1. *Timeline.* The frames that windows are placed on, at a constant rate. Without
   resampling they are the frames of the video; with ``resample_fps`` they are the
   frames displayed at the middle of each period of the new rate. A video with a
   variable frame rate is always resampled, by default to its average rate, so that
   all windows have the same duration.
2. *Windows.* Clip i is the window of ``window_frames`` timeline frames that
   starts at ``i * stride_frames``. Windows must fit into the video. A video shorter
   than one window still makes one clip, with its last frame repeated.
3. *Sampling.* ``clip_frames`` frames of each window, evenly spaced and including both
   ends, as in PyTorchVideo's ``UniformTemporalSubsample``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from asl_kit.grid import FeatureGrid

Indices = NDArray[np.int64]
Seconds = NDArray[np.float64]

_CLIPS_AT_ONCE = 4096


def sample_offsets(*, window_frames: int, clip_frames: int) -> Indices:
    """Return the frames of a window that the backbone takes, counted from the start of the window: (clip_frames,).

    Evenly spaced from the first to the last frame of the window, rounded down.
    A clip of one frame is the window's middle frame.

    Examples
    --------
    >>> sample_offsets(window_frames=16, clip_frames=4).tolist()
    [0, 5, 10, 15]
    >>> sample_offsets(window_frames=48, clip_frames=4).tolist()
    [0, 15, 31, 47]
    >>> sample_offsets(window_frames=4, clip_frames=8).tolist()
    [0, 0, 0, 1, 1, 2, 2, 3]
    >>> sample_offsets(window_frames=9, clip_frames=1).tolist()
    [4]
    """
    if clip_frames == 1:
        return np.array([(window_frames - 1) // 2], dtype=np.int64)
    return np.arange(clip_frames, dtype=np.int64) * (window_frames - 1) // (clip_frames - 1)


def resampled_frames(*, frame_count: int, fps: float, resample_fps: float, display_s: Seconds | None = None) -> Indices:
    """Return the source frame of each frame of the resampled video: (frames at the new rate,).

    New frame j is the source frame displayed at ``(j + 0.5) / resample_fps`` seconds,
    the middle of its period. The duration stays the same, to the nearest frame.

    Parameters
    ----------
    frame_count, fps
        Of the source.
    resample_fps : float
        Frames per second of the result.
    display_s : (frame_count + 1,) array, optional
        Times at which each source frame appears and the last one ends; None: frame k appears at ``k / fps``.

    Examples
    --------
    Half the rate takes every second frame, twice the rate takes each frame twice:

    >>> resampled_frames(frame_count=6, fps=30.0, resample_fps=15.0).tolist()
    [1, 3, 5]
    >>> resampled_frames(frame_count=3, fps=15.0, resample_fps=30.0).tolist()
    [0, 0, 1, 1, 2, 2]
    >>> resampled_frames(frame_count=5, fps=25.0, resample_fps=30.0).tolist()
    [0, 1, 2, 2, 3, 4]

    Four frames, of which the second lasts 0.3 s, at 10 fps (middles at 0.05, 0.15, ... s):

    >>> times_s = np.array([0.0, 0.1, 0.4, 0.5, 0.6])
    >>> resampled_frames(frame_count=4, fps=4 / 0.6, resample_fps=10.0, display_s=times_s).tolist()
    [0, 1, 1, 1, 2, 3]
    """
    frames = frame_count * resample_fps / fps if display_s is None else float(display_s[-1]) * resample_fps
    length = max(1, math.floor(frames + 0.5))
    middles = np.arange(length, dtype=np.float64) + 0.5
    # A middle at the start of a frame selects that frame, whatever the rounding of the division.
    if display_s is None:
        shown = np.floor(middles * (fps / resample_fps) + 1e-9).astype(np.int64)
    else:
        shown = np.searchsorted(display_s[:-1], middles / resample_fps + 1e-9, side="right") - 1
    return np.minimum(shown, frame_count - 1)


@dataclass(frozen=True, eq=False)  # comparing arrays gives no single truth value
class ClipPlan:
    """The frames of one video to decode, and the clips that they make.

    Parameters
    ----------
    frame_count : int
        Frames in the video; 1 or more.
    fps : float
        Frames per second of the video; the average if `display_s` is given.
    window_frames, stride_frames : int
        Length of a window, and frames from one window to the next, in timeline frames.
    clip_frames : int
        Frames that the backbone takes from each window.
    resample_fps : float, optional
        Rate of the timeline; None: the video's own.
    display_s : (frame_count + 1,) array, optional
        Times at which each frame appears and the last one ends, in seconds from the first, for a video with a
        variable frame rate; None: frame k appears at ``k / fps``.
    every_frame : bool
        Whether to prepare every timeline frame, including repeated ones, instead of only the frames used by
        clips: optical flow is computed between consecutive timeline frames.

    Raises
    ------
    ValueError
        If a number is out of range, or `display_s` has the wrong length or decreases.

    Examples
    --------
    Ten frames, windows of 4, one every 3: frames 0-3, 3-6 and 6-9.

    >>> plan = ClipPlan(frame_count=10, fps=10.0, window_frames=4, stride_frames=3, clip_frames=2)
    >>> plan.length
    3
    >>> plan.clips(0, 3).tolist()
    [[0, 3], [3, 6], [6, 9]]
    >>> plan.source_frames.tolist()
    [0, 3, 6, 9]
    >>> plan.grid.centers_s().tolist()
    [0.2, 0.5, 0.8]

    Clips of optical flow, for which every timeline frame is prepared:

    >>> flow = ClipPlan(
    ...     frame_count=5, fps=5.0, window_frames=4, stride_frames=3, clip_frames=2, resample_fps=10.0, every_frame=True
    ... )
    >>> flow.source_frames.tolist()
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    >>> flow.positions(0, 3).tolist()
    [[0, 3], [3, 6], [6, 9]]

    Shorter than one window: one clip, with the last frame repeated.

    >>> short = ClipPlan(frame_count=2, fps=10.0, window_frames=4, stride_frames=3, clip_frames=4)
    >>> short.clips(0, 1).tolist()
    [[0, 1, 1, 1]]

    Variable frame rate: four frames in 0.8 s are resampled to 5 fps, at 0.1, 0.3, 0.5 and 0.7 s.

    >>> uneven = ClipPlan(
    ...     frame_count=4, fps=5.0, window_frames=2, stride_frames=1, clip_frames=2,
    ...     display_s=np.array([0.0, 0.1, 0.2, 0.6, 0.8]),
    ... )
    >>> uneven.clips(0, 3).tolist()
    [[1, 2], [2, 2], [2, 3]]
    >>> uneven.grid.centers_s().round(9).tolist()
    [0.2, 0.4, 0.6]
    """

    frame_count: int
    fps: float
    window_frames: int
    stride_frames: int
    clip_frames: int
    resample_fps: float | None = None
    display_s: Seconds | None = None
    every_frame: bool = False

    def __post_init__(self) -> None:
        for name in ("frame_count", "window_frames", "stride_frames", "clip_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("fps", "resample_fps"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number above 0, got {value}")
        if self.display_s is not None:
            if len(self.display_s) != self.frame_count + 1:
                raise ValueError(f"display_s must hold {self.frame_count + 1} times, got {len(self.display_s)}")
            if not (np.isfinite(self.display_s).all() and (np.diff(self.display_s) >= 0).all()):
                raise ValueError("display_s must be finite and never decrease")

    @cached_property
    def timeline(self) -> Indices:
        """Source frame of each timeline frame: (timeline length,), non-decreasing."""
        if self.resample_fps is None and self.display_s is None:
            return np.arange(self.frame_count, dtype=np.int64)
        return resampled_frames(
            frame_count=self.frame_count, fps=self.fps, resample_fps=self.timeline_fps, display_s=self.display_s
        )

    @property
    def timeline_fps(self) -> float:
        """Frames per second of the timeline."""
        return self.fps if self.resample_fps is None else self.resample_fps

    @property
    def note(self) -> str:
        """A note for users if a variable frame rate is resampled to its average, else empty."""
        if self.display_s is None or self.resample_fps is not None:
            return ""
        return f"variable frame rate, resampled to its average of {self.fps:.4g} frames per second"

    @property
    def length(self) -> int:
        """Number of clips, 1 or more."""
        return max(0, len(self.timeline) - self.window_frames) // self.stride_frames + 1

    @property
    def grid(self) -> FeatureGrid:
        """Times of the clips' features in the video."""
        return FeatureGrid.from_windows(
            fps=self.timeline_fps,
            window_frames=self.window_frames,
            stride_frames=self.stride_frames,
            length=self.length,
        )

    def clips(self, start: int, stop: int) -> Indices:
        """Return the source frames of clips ``[start, stop)``: (stop - start, clip_frames)."""
        source: Indices = self.timeline[self._timeline_positions(start, stop)]
        return source

    def _timeline_positions(self, start: int, stop: int) -> Indices:
        starts = np.arange(start, stop, dtype=np.int64) * self.stride_frames
        offsets = sample_offsets(window_frames=self.window_frames, clip_frames=self.clip_frames)
        positions: Indices = np.minimum(starts[:, None] + offsets, len(self.timeline) - 1)
        return positions

    @cached_property
    def source_frames(self) -> Indices:
        """Source frames to prepare, in order of time: those that clips use, without repeats; or see `every_frame`."""
        if self.every_frame:
            return self.timeline
        used = np.zeros(self.frame_count, dtype=bool)
        for start in range(0, self.length, _CLIPS_AT_ONCE):
            used[self.clips(start, min(start + _CLIPS_AT_ONCE, self.length))] = True
        return np.flatnonzero(used)

    def positions(self, start: int, stop: int) -> Indices:
        """Return indices into `source_frames` for clips ``[start, stop)``: (stop - start, clip_frames)."""
        if self.every_frame:
            return self._timeline_positions(start, stop)
        return np.searchsorted(self.source_frames, self.clips(start, stop))
