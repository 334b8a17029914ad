"""Which detections people are shown: those with a high score, and each action once."""

from __future__ import annotations

from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import MIN_SCORE, Detection

MAX_SHARED = 0.5
"""Detections of one class that share this fraction of the shorter one are the same action."""


def select_shown(video: VideoDetections, *, min_score: float = MIN_SCORE) -> list[Detection]:
    """Return the detections of a video that are worth showing, highest score first.

    Detectors report one action many times. A detection is left out if its score is below `min_score`, if its length
    is zero, or if it and a higher-scoring one of its class share at least half of the shorter of the two. A model of
    several vocabularies shows their combinations (`take,plate`).
    """
    kept: dict[str, list[Detection]] = {}
    shown = []
    for row in video.tables.shown.rows(video.video_id):
        if row.score < min_score:
            break
        higher = kept.setdefault(row.label, [])
        if row.end_s > row.start_s and not any(_same(row, other) for other in higher):
            higher.append(row)
            shown.append(row)
    return shown


def _same(one: Detection, other: Detection) -> bool:
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared_s >= MAX_SHARED * min(one.end_s - one.start_s, other.end_s - other.start_s)


def on_one_line(text: str) -> str:
    """Return text without line breaks, tabs and control characters, for formats whose entries end with the line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
