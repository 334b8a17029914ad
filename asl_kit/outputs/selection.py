"""Which detections a person is shown: sure ones, and each happening once."""

from __future__ import annotations

from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import MIN_SCORE, Detection

SHARED = 0.5


def select_shown(video: VideoDetections, *, min_score: float = MIN_SCORE) -> list[Detection]:
    """Return the detections of a video that are worth showing, the surest first.

    A detection is left out if its score is below `min_score`, if it lasts no time, or if it and a
    surer one of its class share half of the shorter of them or more: detectors name one happening
    many times. Of a model of several vocabularies the combinations are shown (`take,plate`).

    Parameters
    ----------
    video : VideoDetections
        What was found.
    min_score : float
        The least score.
    """
    *_, combined = video.tables  # the last table holds the combinations, where there are any
    kept: dict[str, list[Detection]] = {}
    shown = []
    for row in video.rows(combined):
        if row.score < min_score:
            break
        surer = kept.setdefault(row.label, [])
        if row.end_s > row.start_s and not any(_same(row, other) for other in surer):
            surer.append(row)
            shown.append(row)
    return shown


def _same(one: Detection, other: Detection) -> bool:
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared_s >= SHARED * min(one.end_s - one.start_s, other.end_s - other.start_s)


def on_one_line(text: str) -> str:
    """Return text without line breaks, tabs and control characters, for formats that end an entry at a line's end."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
