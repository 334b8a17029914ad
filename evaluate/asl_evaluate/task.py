"""What a protocol scores: ground truth and detections of the annotated videos of a split, as columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from asl_evaluate.coverage import Coverage, GridCoverage
from asl_kit.annotations import AnnotationSet, Video
from asl_kit.base.similar_names import close_matches
from asl_kit.detections.table import Detections
from asl_kit.errors import AnnotationError, PredictionError, first_few
from asl_kit.metrics import ScoredSegments, Segments, drop_duplicates
from asl_kit.recipes.schema import ONE_CLASS

Duplicates = Literal["keep", "drop"]

ANY_CLASS = "any"
"""The only class of a class-agnostic evaluation."""
MAX_NAMES_SHOWN = 20


@dataclass(frozen=True)
class Task:
    """What to score, and how: the input of a protocol."""

    detections: Detections
    """Detections in any videos, with any classes of the vocabulary."""
    annotations: AnnotationSet
    split: str
    tiou_thresholds: tuple[float, ...]
    """Each in (0, 1]."""
    duplicates: Duplicates = "keep"
    """Whether duplicate ground truth, and segments under 1 ms, count: see `ScoringOptions`."""
    vocabulary: str | None = None
    """The labels to score. None: the only vocabulary, or all that the protocol scores."""
    class_agnostic: bool = False
    """Whether all classes count as one."""
    grid: GridCoverage | None = None
    """What the features leave out, if they are known."""


@dataclass(frozen=True)
class Prepared:
    """Ground truth and detections as columns, with the same numbers for videos and classes."""

    vocabulary: str
    classes: tuple[str, ...]
    videos: Mapping[str, Video]
    """The annotated videos of the split, by id, sorted."""
    truth: Segments
    predicted: ScoredSegments
    coverage: Coverage

    def count_truth(self) -> list[int]:
        """Return the number of ground-truth segments of each class."""
        counts: list[int] = np.bincount(self.truth.label, minlength=len(self.classes)).tolist()
        return counts

    def count_predicted(self) -> list[int]:
        """Return the number of detections of each class."""
        counts: list[int] = np.bincount(self.predicted.label, minlength=len(self.classes)).tolist()
        return counts


def prepare(task: Task) -> Prepared:
    """Return what to score as columns, with its coverage.

    Videos of the split without annotation (`segments` is None) are left out. Predictions for other
    videos are left out and counted; official scripts count them as false positives.

    Parameters
    ----------
    task : Task
        What to score.

    Raises
    ------
    AnnotationError
        If there is no such split or vocabulary, or the split has no ground truth.
    PredictionError
        If a class is not in the vocabulary.
    """
    annotations, split = task.annotations, task.split
    vocabulary = annotations.vocabulary(task.vocabulary)
    names = annotations.classes(vocabulary)
    videos = dict(sorted(annotations.split(split).items()))
    annotated = {video_id: video for video_id, video in videos.items() if video.segments is not None}

    detections, classes = task.detections, tuple(names)
    if task.class_agnostic:
        classes = (ANY_CLASS,)
        detections = replace(detections, label=np.zeros_like(detections.label), class_names=classes)
    truth, num_unlabelled = _truth(annotated, None if task.class_agnostic else names, vocabulary)
    predicted = _scored_segments(detections, list(annotated), classes, vocabulary)
    kept = drop_duplicates(truth) if task.duplicates == "drop" else np.arange(len(truth))
    num_dropped = len(truth) - len(kept)
    truth = truth.take(kept)
    if not len(truth):
        raise AnnotationError(
            f"dataset {annotations.dataset}: split '{split}' has no ground truth in vocabulary '{vocabulary}'",
            hint=f"{len(videos)} videos, {len(annotated)} of them annotated; score another split with --split",
        )

    has_truth = np.bincount(truth.label, minlength=len(classes)) > 0
    has_predicted = np.bincount(predicted.label, minlength=len(classes)) > 0
    seen = set(np.unique(predicted.video).tolist())
    coverage = Coverage(
        videos=len(annotated),
        videos_not_annotated=tuple(video_id for video_id, video in videos.items() if video.segments is None),
        videos_never_predicted=tuple(name for number, name in enumerate(annotated) if number not in seen),
        segments=len(truth),
        segments_without_label=num_unlabelled,
        duplicates=task.duplicates,
        segments_dropped=num_dropped,
        classes_without_ground_truth=tuple(name for label, name in enumerate(classes) if not has_truth[label]),
        classes_never_predicted=tuple(
            name for label, name in enumerate(classes) if has_truth[label] and not has_predicted[label]
        ),
        predictions=len(predicted),
        predictions_outside_split=len(task.detections) - len(predicted),
        grid=task.grid,
    )
    return Prepared(vocabulary, classes, annotated, truth, predicted, coverage)


def _truth(annotated: Mapping[str, Video], classes: Sequence[str] | None, vocabulary: str) -> tuple[Segments, int]:
    """Return the ground truth, and the number of segments without a label in the vocabulary; classes None: any."""
    numbers = {name: number for number, name in enumerate(classes or ())}
    rows = [
        (number, segment.start, segment.end, 0 if classes is None else numbers[segment.labels[vocabulary]])
        for number, video in enumerate(annotated.values())
        for segment in video.segments or ()
        if classes is None or vocabulary in segment.labels
    ]
    total = sum(len(video.segments or ()) for video in annotated.values())
    table = np.array(rows, np.float64).reshape(-1, 4)
    video, label = table[:, 0].astype(np.int64), table[:, 3].astype(np.int64)
    return Segments(video, table[:, 1], table[:, 2], label), total - len(rows)


def _scored_segments(
    detections: Detections, annotated: Sequence[str], classes: Sequence[str], vocabulary: str
) -> ScoredSegments:
    """Return the detections of annotated videos, numbered like the ground truth."""
    class_numbers = {name: number for number, name in enumerate(classes)}
    require_known_classes(detections, classes, vocabulary)
    video_numbers = {name: number for number, name in enumerate(annotated)}
    new_video = np.array([video_numbers.get(name, -1) for name in detections.video_ids], np.int32)
    new_label = np.array([class_numbers.get(name, -1) for name in detections.class_names], np.int32)
    video = new_video[detections.video]
    known = video >= 0
    rows = slice(None) if known.all() else known  # millions of rows are not copied needlessly
    return ScoredSegments(
        video[rows],
        detections.start_s[rows],
        detections.end_s[rows],
        new_label[detections.label[rows]],
        detections.score[rows],
    )


def require_known_classes(detections: Detections, classes: Sequence[str], vocabulary: str) -> None:
    """Raise a `PredictionError` if a detection is of a class that is not in the vocabulary."""
    known_names = set(classes)
    unknown = [
        label for label in np.unique(detections.label).tolist() if detections.class_names[label] not in known_names
    ]
    if not unknown:
        return
    label, name = unknown[0], detections.class_names[unknown[0]]
    video = detections.video_ids[detections.video[int(np.argmax(detections.label == label))]]
    known = first_few(classes, MAX_NAMES_SHOWN)
    close = close_matches(name, classes)
    if name == ONE_CLASS:
        hint = "a model of one class does not name classes: --video-scores FILE of eval and predict does"
    else:
        hint = f"did you mean '{close[0]}'?" if close else "predictions and annotations must be of the same dataset"
    raise PredictionError(
        f"video '{video}': class '{name}' is not among the {len(classes)} of vocabulary '{vocabulary}': {known}",
        hint=hint,
    )
