"""What THUMOS14 and MultiTHUMOS share: text files of instances, tables of durations, names that tell the split.

A text file holds one class, a line `video start end` in seconds for each instance. The
videos are `video_validation_0000051` and `video_test_0000004`: 200 of the validation
set, on which models are trained, and 213 of the test set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import Collector, number_from_text, read_text

_SPLITS = {"video_validation_": "validation", "video_test_": "test"}
"""Split by the begin of a video's name."""


def split_of(video_id: str) -> str | None:
    """Return the split that a video's name tells, or None if it tells none."""
    return next((split for begin, split in _SPLITS.items() if video_id.startswith(begin)), None)


def with_splits_by_name(document: dict[str, Any]) -> dict[str, Any]:
    """Return ActivityNet JSON with splits taken from the videos' names: OpenTAD calls the test videos `validation`."""
    for video_id, entry in document["database"].items():
        if isinstance(entry, dict) and (split := split_of(video_id)) is not None:
            entry["subset"] = split
    return document


def collect_instances(
    collector: Collector, path: Path, *, labels: dict[str, str] | None, reason: str = "", split: str | None = None
) -> None:
    """Hand every line of a class's text file to the collector.

    Parameters
    ----------
    collector : Collector
        Gets the videos and segments.
    path : Path
        The text file.
    labels, reason
        Of the class, as in `Collector.segment`.
    split : str, optional
        Split of all videos of the file; None: each one's name tells it.
    """
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split()
        where = f"{path}:{number}"
        if not cells:
            continue
        if len(cells) != 3:
            collector.error(where, f"expected `video start end`, found {line.strip()!r}")
            continue
        video_id, start, end = cells
        if split is None and split_of(video_id) is None:
            text = f"the name tells no split: expected one that begins with {' or '.join(_SPLITS)}"
            collector.error(where, text, video_id=video_id)
            continue
        collector.video(video_id, where, split=split or split_of(video_id))
        collector.annotated(video_id)
        collector.segment(
            video_id,
            where,
            start=number_from_text(start),
            end=number_from_text(end),
            labels=labels,
            reason=reason,
        )
