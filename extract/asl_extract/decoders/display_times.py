"""The display times of a video's frames, from the time stamps of its packets: arithmetic only.

Seconds count from the first displayed frame.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]

_TOLERANCE_FRAMES = 0.25
_JUMP_S = 10.0  # FFmpeg's own limit (``-dts_delta_threshold``)
_NONE = -(2**63)


@dataclass
class PacketTimes:
    """Time stamps of the packets of displayed frames, in decoding order, in ticks of the stream's time base.

    Parameters
    ----------
    may_jump : bool
        Whether the container's clock may restart anywhere, as in MPEG-TS: a gap of more than 10 s is then a
        restart, not a pause. A clock that goes backwards has restarted, in any container.
    """

    may_jump: bool = False
    _shown: array[int] = field(default_factory=lambda: array("q"))
    _decoded: array[int] = field(default_factory=lambda: array("q"))
    _durations: array[int] = field(default_factory=lambda: array("q"))

    def add(self, *, pts: int | None, dts: int | None, duration: int | None) -> None:
        """Add the presentation time, decoding time and duration of a packet."""
        self._shown.append(_NONE if pts is None else pts)
        self._decoded.append(_NONE if dts is None else dts)
        self._durations.append(duration or 0)

    def __len__(self) -> int:
        """Return the number of displayed frames."""
        return len(self._shown)

    def display_s(self, *, tick_s: float, stated_fps: float, by_decoding: bool = False) -> Seconds | None:
        """Return the times at which each frame appears, in order, and the last one ends: (n + 1,).

        Return None if the file has no time stamps.

        Parameters
        ----------
        tick_s : float
            Duration of a tick.
        stated_fps : float
            The container's frame rate, which gives the last frame's duration if its packet has none; 0: not known.
        by_decoding : bool
            Whether decoding times count alone.
        """
        stamps = np.array(self._shown)
        decoded = np.array(self._decoded)
        if by_decoding or (stamps == _NONE).any():
            stamps = decoded  # decoding times differ by a constant delay; frames are displayed in order of the clock
        if len(stamps) == 0 or (stamps == _NONE).any():
            return None
        durations = np.array(self._durations)
        order = decoded if not (decoded == _NONE).any() else np.maximum.accumulate(stamps)
        steps = np.diff(order)
        breaks = np.flatnonzero((steps < 0) | (steps * tick_s > _JUMP_S) if self.may_jump else steps < 0) + 1
        pieces, end_s = [], 0.0
        for piece in np.split(np.arange(len(stamps)), breaks):
            ordered = piece[np.argsort(stamps[piece], kind="stable")]
            times_s = (stamps[ordered] - stamps[ordered[0]]) * tick_s
            last_s = float(durations[ordered[-1]] * tick_s) or _usual_s(times_s, stated_fps)
            pieces.append(end_s + times_s)
            end_s += float(times_s[-1]) + last_s
        return np.concatenate([*pieces, [end_s]])


def _usual_s(times_s: Seconds, stated_fps: float) -> float:
    """Return the usual duration of a frame."""
    if len(times_s) > 1:
        return float(np.median(np.diff(times_s)))
    return 1 / stated_fps if stated_fps else 0.0


def constant_rate(display_s: Seconds, *, tick_s: float, stated_fps: float) -> float | None:
    """Return the rate at which frame k appears at ``k / rate`` seconds, or None if there is no such rate.

    The rate that the container states is tried first, then the one computed from the first and the last frame.
    Times may be off by a quarter of a frame or a tick of the file's clock: Matroska rounds times to
    milliseconds.

    Examples
    --------
    >>> constant_rate(np.array([0, 0.033, 0.067, 0.1]), tick_s=0.001, stated_fps=30.0)
    30.0
    >>> constant_rate(np.array([0, 0.033, 0.1, 0.133]), tick_s=0.001, stated_fps=30.0)
    """
    times_s = display_s[:-1]
    span_s = float(times_s[-1])
    measured_fps = (len(times_s) - 1) / span_s if span_s > 0 else 0.0
    for fps in (stated_fps, measured_fps):
        if fps > 0:
            off_s = float(np.abs(times_s - np.arange(len(times_s)) / fps).max())
            if off_s <= max(_TOLERANCE_FRAMES / fps, tick_s):
                return fps
    return None
