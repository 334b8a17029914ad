"""What an annotation file holds: counts, durations, lengths and overlaps, per split and per class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from asl_kit.annotations.schema import AnnotationSet, Segment, Video


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """What one split holds; lengths are 0 where there is no segment."""

    videos: int
    without_action: int
    """Annotated, and no action found."""
    unannotated: int
    segments: int
    ignored: int
    classes: int
    overlapping: int
    """Segments that share time with another one of the same video."""
    duration_s: float
    """All videos together."""
    mean_video_s: float
    mean_segment_s: float
    median_segment_s: float
    shortest_segment_s: float
    longest_segment_s: float


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """What there is of one class, over all splits."""

    vocabulary: str
    label: str
    segments: int
    videos: int
    mean_segment_s: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """The description of an annotation set."""

    dataset: str
    splits: dict[str, SplitStatistics]
    classes: list[ClassStatistics]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def print(self, console: Console) -> None:
        """Print a table of the splits and one of the classes."""
        columns = list(self.splits)
        table = Table(title=self.dataset, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for split in columns:
            table.add_column(split, justify="right", no_wrap=True)
        for row, name in _ROWS.items():
            table.add_row(row, *(_cell(getattr(self.splits[split], name)) for split in columns))
        console.print(table)
        by_class = Table(box=box.SIMPLE_HEAD)
        for name in ("vocabulary", "class"):
            by_class.add_column(name, no_wrap=True)
        for name in ("segments", "videos", "mean length (s)"):
            by_class.add_column(name, justify="right", no_wrap=True)
        for item in self.classes:
            counts = map(_cell, (item.segments, item.videos, item.mean_segment_s))
            by_class.add_row(item.vocabulary, item.label, *counts)
        console.print(by_class)


_ROWS = {
    "videos": "videos",
    "  without action": "without_action",
    "  not annotated": "unannotated",
    "segments": "segments",
    "  overlapping": "overlapping",
    "ignored": "ignored",
    "classes": "classes",
    "duration (s)": "duration_s",
    "mean video (s)": "mean_video_s",
    "mean segment (s)": "mean_segment_s",
    "median segment (s)": "median_segment_s",
    "shortest segment (s)": "shortest_segment_s",
    "longest segment (s)": "longest_segment_s",
}


def describe(annotations: AnnotationSet) -> Statistics:
    """Return the statistics of an annotation set, splits sorted, classes in the order of their ids."""
    by_split: dict[str, list[Video]] = {}
    for video in annotations.videos.values():
        by_split.setdefault(video.split, []).append(video)
    return Statistics(
        dataset=annotations.dataset,
        splits={split: _describe_split(videos) for split, videos in sorted(by_split.items())},
        classes=_describe_classes(annotations),
    )


def count_overlapping(segments: Sequence[Segment]) -> int:
    """Return how many segments of one video share time with another one; [0, 1) and [1, 2) do not."""
    ordered = sorted((segment.start, segment.end) for segment in segments)
    count, latest_end_s = 0, float("-inf")
    for number, (start_s, end_s) in enumerate(ordered):
        overlaps_earlier = start_s < latest_end_s
        overlaps_later = number + 1 < len(ordered) and ordered[number + 1][0] < end_s
        count += overlaps_earlier or overlaps_later
        latest_end_s = max(latest_end_s, end_s)
    return count


def _describe_split(videos: Sequence[Video]) -> SplitStatistics:
    segments = [segment for video in videos for segment in video.segments or ()]
    lengths_s = [segment.end - segment.start for segment in segments] or [0.0]
    duration_s = sum(video.duration for video in videos)
    return SplitStatistics(
        videos=len(videos),
        without_action=sum(video.segments == [] for video in videos),
        unannotated=sum(video.segments is None for video in videos),
        segments=len(segments),
        ignored=sum(len(video.ignored) for video in videos),
        classes=len({tuple(sorted(segment.labels.items())) for segment in segments}),
        overlapping=sum(count_overlapping(video.segments or ()) for video in videos),
        duration_s=duration_s,
        mean_video_s=duration_s / len(videos),
        mean_segment_s=fmean(lengths_s),
        median_segment_s=median(lengths_s),
        shortest_segment_s=min(lengths_s),
        longest_segment_s=max(lengths_s),
    )


def _describe_classes(annotations: AnnotationSet) -> list[ClassStatistics]:
    segments: Counter[tuple[str, str]] = Counter()
    videos: Counter[tuple[str, str]] = Counter()
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for video in annotations.videos.values():
        seen = set()
        for segment in video.segments or ():
            for key in segment.labels.items():
                segments[key] += 1
                seconds[key] += segment.end - segment.start
                seen.add(key)
        videos.update(seen)
    return [
        ClassStatistics(
            vocabulary, label, segments[key], videos[key], seconds[key] / segments[key] if segments[key] else 0.0
        )
        for vocabulary, labels in annotations.vocabularies.items()
        for label in labels
        for key in [(vocabulary, label)]
    ]


def _cell(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
