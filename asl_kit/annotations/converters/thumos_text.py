"""What THUMOS14 and MultiTHUMOS share: text files of segments, and video names that state the split.

A text file holds one class, with a line `video start end` in seconds for each segment. Videos
are named `video_validation_0000051` and `video_test_0000004`: there are 200 validation
videos, which models are trained on, and 213 test videos.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import Collector, number_from_text
from asl_kit.annotations.text_lines import numbered_lines

_SPLITS = {"video_validation_": "validation", "video_test_": "test"}
"""Split by the prefix of a video's name."""


def split_of(video_id: str) -> str | None:
    """Return the split that a video's name states, or None if it states none."""
    return next((split for prefix, split in _SPLITS.items() if video_id.startswith(prefix)), None)


def with_splits_by_name(document: dict[str, Any]) -> dict[str, Any]:
    """Return ActivityNet JSON with the splits of the videos' names: OpenTAD calls the test videos `validation`."""
    for video_id, entry in document["database"].items():
        if isinstance(entry, dict) and (split := split_of(video_id)) is not None:
            entry["subset"] = split
    return document


def collect_instances(
    collector: Collector, path: Path, *, labels: dict[str, str] | None, reason: str = "", split: str | None = None
) -> None:
    """Pass every line of a class's text file to the collector.

    Parameters
    ----------
    collector : Collector
        Receives the videos and segments.
    path : Path
        The text file.
    labels, reason
        Those of the class, as in `Collector.segment`.
    split : str, optional
        Split of all videos in the file. Default: the one that each video's name states.
    """
    for number, line in numbered_lines(path):
        cells = line.split()
        where = f"{path}:{number}"
        if len(cells) != 3:
            collector.error(where, f"expected `video start end`, found {line!r}")
            continue
        video_id, start, end = cells
        if split is None and split_of(video_id) is None:
            text = f"the name states no split: expected a name that starts with {' or '.join(_SPLITS)}"
            collector.error(where, text, video_id=video_id)
            continue
        collector.video(video_id, where, split=split or split_of(video_id), annotated=True)
        collector.segment(
            video_id,
            where,
            start=number_from_text(start),
            end=number_from_text(end),
            labels=labels,
            reason=reason,
        )
