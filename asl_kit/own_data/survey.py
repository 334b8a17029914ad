"""The survey: annotations compared with the headers of the video files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from asl_extract.decoders.probe import VideoHeader
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.annotations.conversion import find_converter
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import Video
from asl_kit.annotations.similar_labels import find_similar_labels
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.similar_names import close_matches
from asl_kit.dataset.default_splits import evaluation_split, training_split
from asl_kit.errors import UsageError
from asl_kit.own_data.carry_over import carry_over
from asl_kit.own_data.splits import TEST, with_test_split
from asl_kit.own_data.video_headers import read_annotated, segments_beyond_end, with_headers

RARE = 10
"""A class with fewer training segments is rare."""
SAME_RATE = 1.05
"""Frame rates within this factor, such as 29.97 and 30, count as equal."""
COMPARED = 20
"""Number of missing videos whose names are compared with all file names, which is slow."""
QUANTILES = (0, 10, 50, 90, 100)


@dataclass(frozen=True, slots=True)
class ClassSurvey:
    """Segments of one class."""

    vocabulary: str
    label: str
    segments: dict[str, int]
    """By split."""
    shortest_s: float | None
    median_s: float | None
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Survey:
    """Annotations and video files."""

    annotations: AnnotationSet
    """The annotations with a test split, the durations of the files, and their frame rates if not annotated."""
    videos: Path
    headers: dict[str, VideoHeader]
    """Headers of the annotated videos with a readable file."""
    missing: dict[str, str]
    """Annotated videos without a file, each with the most similar file name, or an empty text."""
    unreadable: dict[str, str]
    """Reasons why files of annotated videos cannot be read."""
    unannotated: list[str]
    """Ids of video files without annotations."""
    beyond_end: dict[str, list[str]]
    """A line for each segment that ends after its video file, by video; `refuse_beyond_end` raises them."""
    split_note: str
    classes: list[ClassSurvey]
    replaced_durations: dict[str, str] = field(default_factory=dict)
    """Videos whose stated duration is not that of their file, each with both durations."""
    table: TableOptions = DEFAULT_TABLE
    """The options with which the table was read."""
    table_notes: list[str] = field(default_factory=list)
    """How the table was read, where that is not obvious."""

    @property
    def train(self) -> dict[str, Video]:
        """The annotated training videos with a readable file."""
        split = self.annotations.split(training_split(self.annotations, "auto")).items()
        return {name: video for name, video in split if name in self.headers and video.segments is not None}

    @property
    def evaluated(self) -> str:
        """The split to score."""
        return evaluation_split(self.annotations, [TEST]) or ""

    @property
    def mixed_fps(self) -> bool:
        """Whether the videos have different frame rates."""
        rates = [header.fps for header in self.headers.values()]
        return max(rates) > SAME_RATE * min(rates)

    @property
    def common_fps(self) -> int:
        """The most common frame rate, rounded to an integer; the lowest of equally common ones."""
        rates = Counter(round(header.fps) or 1 for header in self.headers.values())
        return min(rates, key=lambda rate: (-rates[rate], rate))

    @property
    def video_notes(self) -> dict[str, str]:
        """What a user should know about files that can be read."""
        return {video_id: header.note for video_id, header in self.headers.items() if header.note}

    def lengths_s(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the length in seconds of every segment of the training videos."""
        return np.array([item.end - item.start for video in self.train.values() for item in video.segments or ()])

    def to_json(self) -> dict[str, Any]:
        """Return the survey, JSON-ready."""
        durations = [header.duration_s for header in self.headers.values()]
        return {
            "table": self.table.to_json() | {"notes": self.table_notes},
            "videos": {
                "annotated": len(self.annotations.videos),
                "readable": len(self.headers),
                "missing": self.missing,
                "unreadable": self.unreadable,
                "notes": self.video_notes,
                "not_annotated": self.unannotated,
                "segments_beyond_end": self.beyond_end,
                "replaced_durations": self.replaced_durations,
            },
            "splits": {
                split: sum(video.split == split for video in self.annotations.videos.values())
                for split in sorted({video.split for video in self.annotations.videos.values()})
            },
            "split_note": self.split_note,
            "duration_s": _quantiles(durations) | {"total": sum(durations)},
            "fps": dict(Counter(f"{header.fps:.4g}" for header in self.headers.values())),
            "segment_s": _quantiles(self.lengths_s()),
            "classes": [asdict(item) for item in self.classes],
        }


def survey_videos(
    source: Path,
    videos: Path,
    table: TableOptions = DEFAULT_TABLE,
    *,
    project: AnnotationSet | None = None,
    image_fps: float | None = None,
) -> Survey:
    """Survey annotations and a folder of videos, which are read to their ends but not decoded.

    Parameters
    ----------
    source : Path
        A table for ``asl-kit convert csv``, or unified annotations (``.json``).
    videos : Path
        Folder of the videos.
    table : TableOptions
        Columns and encoding of the table, where they are not known by themselves.
    project : AnnotationSet, optional
        Earlier annotations, to which `source` adds: `carry_over` says what is kept of them.
    image_fps : float, optional
        As for `read_annotated`.

    Raises
    ------
    MissingFileError
        If a path does not exist.
    AnnotationError
        If the annotations cannot be read, or are too few to train and score.
    UsageError
        If no annotated video has a readable file, no training video has an action, no video is in `project`, or options
        for tables are stated for unified annotations.
    """
    annotations, report = _read(source, table)
    found = read_annotated(annotations, videos, source=str(source), image_fps=image_fps)
    missing = sorted(annotations.videos.keys() - found.paths.keys())
    close = {video_id: close_matches(video_id, found.unannotated) for video_id in missing[:COMPARED]}
    beyond_end = segments_beyond_end(annotations, found, source=str(source), places=report.places)
    annotations, replaced = with_headers(annotations, found)
    if project is not None:
        annotations = carry_over(annotations, project, found.headers, source=str(source))
    annotations, split_note = with_test_split(
        annotations, found.headers, project=project, unstated=report.without_split
    )
    survey = Survey(
        annotations=annotations,
        videos=videos,
        headers=found.headers,
        missing={video_id: "".join(close.get(video_id, [])) for video_id in missing},
        unreadable=found.unreadable,
        unannotated=found.unannotated,
        beyond_end=beyond_end,
        split_note=split_note,
        classes=_survey_classes(annotations, found.headers),
        replaced_durations=replaced,
        table=table,
        table_notes=[note for note in report.notes if note.startswith(f"{source.name}: ")],
    )
    if not len(survey.lengths_s()):
        raise UsageError(f"{source}: no training video with a readable file has an action")
    return survey


def _read(source: Path, table: TableOptions) -> tuple[AnnotationSet, ConversionReport]:
    report = ConversionReport(dataset="csv")
    if source.suffix.lower() == ".json":
        if table != DEFAULT_TABLE:
            raise UsageError(f"{source}: columns or an encoding are stated, but this is not a table")
        return read_annotations(source), report
    return find_converter("csv")([source], manifest=None, report=report, table=table), report


def _survey_classes(annotations: AnnotationSet, headers: Mapping[str, VideoHeader]) -> list[ClassSurvey]:
    """Return the segments of each class in the videos with a readable file."""
    splits = sorted({video.split for video in annotations.videos.values()})
    train = training_split(annotations, "auto")
    counts: dict[tuple[str, str], Counter[str]] = {}
    lengths: dict[tuple[str, str], list[float]] = {}
    for video_id in headers:
        video = annotations.videos[video_id]
        for segment in video.segments or ():
            for key in segment.labels.items():
                counts.setdefault(key, Counter())[video.split] += 1
                lengths.setdefault(key, []).append(segment.end - segment.start)
    similar: dict[tuple[str, str], list[str]] = {}
    for group in find_similar_labels(annotations):
        for label in group.segments:
            similar[group.vocabulary, label] = [other for other in group.segments if other != label]
    found = []
    for vocabulary, labels in annotations.vocabularies.items():
        for label in labels:
            key = (vocabulary, label)
            own = {split: counts.get(key, Counter())[split] for split in splits}
            remarks = [f"none in {split}" for split in splits if not own[split]]
            if 0 < own[train] < RARE:
                remarks.append(f"rare: {own[train]} in {train}")
            if key in similar:
                remarks.append(f"another spelling of {', '.join(map(repr, similar[key]))}?")
            has = key in lengths
            found.append(
                ClassSurvey(
                    vocabulary,
                    label,
                    own,
                    min(lengths[key]) if has else None,
                    float(np.median(lengths[key])) if has else None,
                    remarks,
                )
            )
    return found


def _quantiles(values: Any) -> dict[str, float]:
    return {str(share): float(value) for share, value in zip(QUANTILES, np.percentile(values, QUANTILES), strict=True)}
