"""Times of segments that are in milliseconds or are numbers of frames, where seconds are expected."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from statistics import median
from typing import Final

from asl_kit.annotations.validation import DURATION_TOLERANCE_S

MILLISECONDS_HINT: Final = "Times are in seconds: divide milliseconds by 1000."
FRAMES_HINT: Final = "Times are in seconds: divide frame numbers by the frame rate."

_MAX_FPS = 240.0
"""Highest frame rate that is expected: a segment that ends at a larger multiple of its video's seconds is no frame."""
_TOO_LATE = 2.0
"""A segment that ends after more than this multiple of its video's duration is not just a little too long."""
_LONG = 500.0
"""Typical length of a segment from which whole numbers may be milliseconds: half a second, or more than 8 minutes."""


@dataclass(frozen=True, slots=True)
class Span:
    """Times of a segment as they were read, and what is stated about its video."""

    start: float
    end: float
    duration_s: float | None
    fps: float | None

    def fits(self, per_second: float) -> bool:
        """Return whether it ends within the video if so many units make a second."""
        return self.duration_s is None or self.end / per_second <= self.duration_s + DURATION_TOLERANCE_S


def unit_hint(spans: Collection[Span]) -> str | None:
    """Return what to do about segments that end after their videos, if another unit would explain it.

    Examples
    --------
    >>> unit_hint([Span(1000.0, 2500.0, duration_s=60.0, fps=25.0)])
    'The times look like milliseconds. Times are in seconds: divide milliseconds by 1000.'
    """
    beyond = [span for span in spans if not span.fits(1)]
    if all(span.fits(_TOO_LATE) for span in beyond) or not all(span.fits(1000) for span in beyond):
        return None
    may_be_frames = _whole(beyond) and all(span.fits(span.fps or _MAX_FPS) for span in beyond)
    if may_be_frames:
        return (
            "The times look like frame numbers or milliseconds. Times are in seconds: divide frame numbers by the frame"
            " rate, or milliseconds by 1000."
        )
    return f"The times look like milliseconds. {MILLISECONDS_HINT}"


def unit_note(spans: Collection[Span]) -> str | None:
    """Return a note on times that are probably not in seconds, where no duration shows it."""
    untold = [span for span in spans if span.duration_s is None]
    if not untold or not _whole(spans):
        return None
    typical = median(span.end - span.start for span in untold)
    if any(span.fps for span in spans):
        return f"all times are whole numbers, beside a frame rate: are they frame numbers? {FRAMES_HINT}"
    if typical >= _LONG:
        return (
            f"all times are whole numbers, and a typical segment lasts {typical:g}: are they milliseconds?"
            f" {MILLISECONDS_HINT}"
        )
    return None


def _whole(spans: Collection[Span]) -> bool:
    return all(span.start.is_integer() and span.end.is_integer() for span in spans)
