"""Splits of datasets that split clips, and not videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from asl_kit.annotations.report import ConversionReport


def video_splits(clips: Iterable[tuple[str, str]], report: ConversionReport) -> dict[str, str]:
    """Return the split of each video: that of most of its clips, and of the first one among equals.

    Parameters
    ----------
    clips : iterable of (str, str)
        The video and the split of every clip.
    report : ConversionReport
        Notes how many clips are in another split than their video.
    """
    counts: dict[str, Counter[str]] = {}
    for video_id, split in clips:
        counts.setdefault(video_id, Counter())[split] += 1
    most = {video_id: found.most_common(1)[0] for video_id, found in counts.items()}
    if other := sum(map(Counter.total, counts.values())) - sum(count for _, count in most.values()):
        report.note(f"{other} clips are listed in another split than most clips of their video, whose split is theirs")
    return {video_id: split for video_id, (split, _) in most.items()}
