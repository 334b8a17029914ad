"""Consistency of annotations: times, and labels in their vocabularies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asl_kit.annotations.schema import IgnoredSegment, Segment, Video

DURATION_TOLERANCE_S = 0.1
"""How much later than its video a segment may end, in seconds: annotation tools round times to a tenth of a second,
and containers round durations."""

Place = tuple[str | int, ...]


def time_error(start_s: float, end_s: float, duration_s: float | None) -> tuple[str, str] | None:
    """Return the field and the error of a segment's times, or None if they are valid.

    Parameters
    ----------
    start_s, end_s : float
        The segment, [start, end).
    duration_s : float or None
        Duration of its video; None: unknown, and not checked.
    """
    if start_s < 0:
        return "start", "must be 0 or more"
    if end_s <= start_s:
        return "end", f"must be after the start ({start_s!r})"
    if duration_s is not None and end_s > duration_s + DURATION_TOLERANCE_S:
        return "end", f"must be within the video's duration ({duration_s!r})"
    return None


def semantic_errors(
    vocabularies: Mapping[str, Sequence[str]], videos: Mapping[str, Video]
) -> Iterator[tuple[Place, str, object]]:
    """Yield (place, text, value found) for every inconsistency of values that have the right type."""
    known = {name: frozenset(classes) for name, classes in vocabularies.items()}
    for name, classes in vocabularies.items():
        if len(known[name]) < len(classes):
            for label in sorted({label for label in classes if classes.count(label) > 1}):
                yield ("vocabularies", name), "a class name appears twice", label
    for video_id, video in videos.items():
        for number, segment in enumerate(video.segments or ()):
            place: Place = ("videos", video_id, "segments", number)
            yield from _time_errors(place, segment, video.duration)
            for vocabulary, label in segment.labels.items():
                if vocabulary not in known:
                    yield (*place, "labels"), f"must be one of the vocabularies {', '.join(known)}", vocabulary
                elif label not in known[vocabulary]:
                    yield (*place, "labels", vocabulary), "not in the vocabulary", label
        for number, ignored in enumerate(video.ignored):
            yield from _time_errors(("videos", video_id, "ignored", number), ignored, video.duration)


def _time_errors(
    place: Place, segment: Segment | IgnoredSegment, duration_s: float
) -> Iterator[tuple[Place, str, object]]:
    error = time_error(segment.start, segment.end, duration_s)
    if error is not None:
        field, text = error
        yield (*place, field), text, getattr(segment, field)
