"""Annotations that are points in time: the segment around each, which is asked for and never guessed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asl_kit.annotations.validation import DURATION_TOLERANCE_S
from asl_kit.errors import UsageError

_HINT = "--point-window 5: from 5 s before each point to 5 s after it; --point-window 2,10: 2 s before, 10 s after."


@dataclass(frozen=True, slots=True)
class PointWindow:
    """The segment around a point in time.

    Parameters
    ----------
    before_s, after_s : float
        How long before the point it starts, and how long after it ends, in seconds.

    Raises
    ------
    UsageError
        If one is not a number of 0 or more, or both are 0.
    """

    before_s: float
    after_s: float

    def __post_init__(self) -> None:
        lengths = (self.before_s, self.after_s)
        if not all(math.isfinite(length) and length >= 0 for length in lengths) or sum(lengths) <= 0:
            found = f"{self.before_s:g},{self.after_s:g}"
            raise UsageError(f"point window {found}: expected seconds of 0 or more, not both 0", hint=_HINT)

    @classmethod
    def parse(cls, text: str) -> PointWindow:
        """Return the window that a text ``BEFORE[,AFTER]`` states.

        Examples
        --------
        >>> PointWindow.parse("5"), PointWindow.parse("2,10")
        (PointWindow(before_s=5.0, after_s=5.0), PointWindow(before_s=2.0, after_s=10.0))
        """
        before, _, after = text.partition(",")
        try:
            return cls(float(before), float(after if "," in text else before))
        except ValueError:
            raise UsageError(f"point window {text!r}: expected BEFORE[,AFTER] in seconds", hint=_HINT) from None

    def around(self, point_s: float, duration_s: float | None = None) -> tuple[float, float]:
        """Return the segment around a point, within its video: [start, end) in seconds.

        A point that is not within the video, with the tolerance that segments have, keeps its whole window, which the
        collector then refuses or reports.
        """
        start_s, end_s = point_s - self.before_s, point_s + self.after_s
        if point_s >= 0:
            start_s = max(start_s, 0.0)
        if duration_s is not None and point_s <= duration_s + DURATION_TOLERANCE_S:
            end_s = min(end_s, duration_s)
        return start_s, end_s


def required(window: PointWindow | None, what: str) -> PointWindow:
    """Return the window, or raise a UsageError if none is stated: `what` are points in time."""
    if window is None:
        raise UsageError(f"{what} are points in time: state the length of their segments", hint=f"For example {_HINT}")
    return window
