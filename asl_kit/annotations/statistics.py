"""Statistics of an annotation set: counts, durations, lengths and overlaps, by split and by class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from asl_kit.annotations.report import SplitCounts
from asl_kit.annotations.schema import AnnotationSet, Segment, Video


@dataclass(frozen=True, slots=True)
class SplitStatistics(SplitCounts):
    """Statistics of one split; lengths are 0 if there is no segment."""

    overlapping: int = 0
    """Segments that overlap another segment of the same video."""
    duration_s: float = 0.0
    """Duration of all videos together."""
    mean_video_s: float = 0.0
    mean_segment_s: float = 0.0
    median_segment_s: float = 0.0
    shortest_segment_s: float = 0.0
    longest_segment_s: float = 0.0
    shorter_than_step: int | None = None
    """Segments shorter than one feature step; None: the step is unknown."""
    without_step: int = 0
    """Videos whose step is unknown, although that of other videos is known."""


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """Statistics of one class over all splits."""

    vocabulary: str
    label: str
    segments: int
    videos: int
    mean_segment_s: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of an annotation set."""

    dataset: str
    splits: dict[str, SplitStatistics]
    classes: list[ClassStatistics]

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON-ready data."""
        return asdict(self)

    def print(self, console: Console) -> None:
        """Print a table of the splits and one of the classes."""
        for title, text_columns, (columns, rows) in ((self.dataset, 1, split_rows(self)), (None, 2, class_rows(self))):
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
            for number, name in enumerate(columns):
                table.add_column(name, justify="left" if number < text_columns else "right", no_wrap=True)
            for row in rows:
                table.add_row(*row)
            console.print(table)


def split_rows(statistics: Statistics) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of the table of splits, as text."""
    splits = list(statistics.splits.values())
    rows = {row: name for row, name in _ROWS.items() if any(getattr(split, name) is not None for split in splits)}
    if not any(split.without_step for split in splits):
        del rows[_WITHOUT_STEP]
    return (
        ["", *statistics.splits],
        [[row, *(_cell(getattr(split, name)) for split in splits)] for row, name in rows.items()],
    )


def class_rows(statistics: Statistics) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of the table of classes, as text; percentages are of the vocabulary."""
    total: Counter[str] = Counter()
    for item in statistics.classes:
        total[item.vocabulary] += item.segments
    rows = [
        [
            item.vocabulary,
            item.label,
            _cell(item.segments),
            f"{100 * item.segments / max(total[item.vocabulary], 1):.2f}",
            _cell(item.videos),
            _cell(item.mean_segment_s),
        ]
        for item in statistics.classes
    ]
    return ["vocabulary", "class", "segments", "% of segments", "videos", "mean length (s)"], rows


_WITHOUT_STEP = "  videos without features"
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
    "shorter than one step": "shorter_than_step",
    _WITHOUT_STEP: "without_step",
}


def describe(annotations: AnnotationSet, *, step_s: float | Mapping[str, float] | None = None) -> Statistics:
    """Return the statistics of an annotation set, with splits sorted and classes in the order of their ids.

    Parameters
    ----------
    annotations : AnnotationSet
        The annotations.
    step_s : float or mapping, optional
        Time between two features in seconds, for all videos or by video: shorter segments are counted.
    """
    if not isinstance(step_s, Mapping):
        step_s = None if step_s is None else dict.fromkeys(annotations.videos, step_s)
    return Statistics(
        dataset=annotations.dataset,
        splits={split: _describe_split(videos, step_s) for split, videos in annotations.by_split().items()},
        classes=_describe_classes(annotations),
    )


def count_overlapping(segments: Sequence[Segment]) -> int:
    """Return how many segments of one video overlap another segment; [0, 1) and [1, 2) do not overlap."""
    ordered = sorted((segment.start, segment.end) for segment in segments)
    count, latest_end_s = 0, float("-inf")
    for number, (start_s, end_s) in enumerate(ordered):
        overlaps_earlier = start_s < latest_end_s
        overlaps_later = number + 1 < len(ordered) and ordered[number + 1][0] < end_s
        count += overlaps_earlier or overlaps_later
        latest_end_s = max(latest_end_s, end_s)
    return count


def _describe_split(by_id: Mapping[str, Video], step_s: Mapping[str, float] | None) -> SplitStatistics:
    videos = list(by_id.values())
    segments = [segment for video in videos for segment in video.segments or ()]
    lengths_s = [segment.end - segment.start for segment in segments] or [0.0]
    duration_s = sum(video.duration for video in videos)
    return SplitStatistics(
        **asdict(SplitCounts.of(videos)),
        overlapping=sum(count_overlapping(video.segments or ()) for video in videos),
        duration_s=duration_s,
        mean_video_s=duration_s / len(videos),
        mean_segment_s=fmean(lengths_s),
        median_segment_s=median(lengths_s),
        shortest_segment_s=min(lengths_s),
        longest_segment_s=max(lengths_s),
        shorter_than_step=None
        if step_s is None
        else sum(
            segment.end - segment.start < step_s.get(video_id, 0.0)
            for video_id, video in by_id.items()
            for segment in video.segments or ()
        ),
        without_step=0 if step_s is None else sum(video_id not in step_s for video_id in by_id),
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


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
