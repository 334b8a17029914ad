"""Scores of detections against annotations: the protocol's numbers, and what they cover."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

import numpy as np

from asl_evaluate.coverage import Coverage, GridCoverage
from asl_kit.annotations import AnnotationSet, Video, read_annotations
from asl_kit.errors import AnnotationError, PredictionError, UsageError
from asl_kit.files import write_text
from asl_kit.manifest import find_manifest
from asl_kit.metrics import ScoredSegments, Segments, average_precision, drop_duplicates, recall_at_top
from asl_kit.predictions import Detections, read_predictions, write_predictions

Duplicates = Literal["keep", "drop"]

PROTOCOLS = ("activitynet",)
DEFAULT_TIOU = "0.3:0.7:0.1"
EVALUATION_SPLITS = ("test", "validation", "val")
RECALL_PER_VIDEO = 100
MAX_THRESHOLDS = 1000
MAX_NAMES_SHOWN = 20


@dataclass(frozen=True)
class ClassScore:
    """The score of one class."""

    average_precision: tuple[float, ...]
    """At each tIoU threshold."""
    segments: int
    """Ground-truth segments."""
    predictions: int

    @property
    def mean(self) -> float:
        """Average precision, averaged over the thresholds."""
        return sum(self.average_precision) / len(self.average_precision)


@dataclass(frozen=True)
class Scores:
    """The result of an evaluation. All scores are shares, in [0, 1]."""

    protocol: str
    split: str
    vocabulary: str
    tiou_thresholds: tuple[float, ...]
    mean_average_precision: tuple[float, ...]
    """mAP at each threshold: the mean over the classes that have ground truth."""
    per_class: Mapping[str, ClassScore]
    """In order of the vocabulary; classes with ground truth only."""
    recall_per_video: int
    """How many predictions of a video, those of highest score, count for recall."""
    recall: tuple[float, ...]
    """At each threshold: `asl_kit.metrics.recall_at_top`."""
    coverage: Coverage

    @property
    def average_map(self) -> float:
        """MAP averaged over the thresholds."""
        return sum(self.mean_average_precision) / len(self.mean_average_precision)

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit eval --json`` writes."""
        return {
            "protocol": self.protocol,
            "split": self.split,
            "tiou": list(self.tiou_thresholds),
            "mAP": list(self.mean_average_precision),
            "average_mAP": self.average_map,
            "per_class": {
                name: {
                    "AP": list(score.average_precision),
                    "average_AP": score.mean,
                    "segments": score.segments,
                    "predictions": score.predictions,
                }
                for name, score in self.per_class.items()
            },
            "recall": {"predictions_per_video": self.recall_per_video, "per_tiou": list(self.recall)},
            "coverage": self.coverage.to_json(),
        }


def parse_tiou(text: str) -> tuple[float, ...]:
    """Return the thresholds that ``LO:HI:STEP`` stands for, both ends included, as exact decimals.

    Raises
    ------
    UsageError
        If it is not three numbers, or 0 < LO <= HI <= 1 does not hold, or no whole number of
        steps leads from LO to HI.

    Examples
    --------
    >>> parse_tiou("0.3:0.7:0.1")
    (0.3, 0.4, 0.5, 0.6, 0.7)
    """
    hint = "for example --tiou 0.3:0.7:0.1"
    try:
        low, high, step = (Decimal(part.strip()) for part in text.split(":"))
    except (ValueError, InvalidOperation):
        raise UsageError(f"--tiou: expected LO:HI:STEP, found '{text}'", hint=hint) from None
    if not all(number.is_finite() for number in (low, high, step)) or not 0 < low <= high <= 1 or step <= 0:
        raise UsageError(f"--tiou: expected 0 < LO <= HI <= 1 and STEP > 0, found '{text}'", hint=hint)
    if (high - low) / step >= MAX_THRESHOLDS:
        raise UsageError(f"--tiou: '{text}' is more than {MAX_THRESHOLDS} thresholds", hint=hint)
    if (high - low) % step:
        raise UsageError(f"--tiou: no whole number of steps of {step} leads from {low} to {high}", hint=hint)
    return tuple(float(low + number * step) for number in range(int((high - low) / step) + 1))


def default_tiou(dataset: str) -> tuple[float, ...]:
    """Return the thresholds of the dataset's manifest, or 0.3 to 0.7 if it has none."""
    manifest = find_manifest(dataset)
    return manifest.tiou_thresholds if manifest else parse_tiou(DEFAULT_TIOU)


def choose_split(annotations: AnnotationSet, split: str | None = None) -> str:
    """Return the split to evaluate on.

    That is the one asked for; else the manifest's; else the first there is of test, validation and val.

    Raises
    ------
    AnnotationError
        If the split asked for does not exist. The message lists those that do.
    UsageError
        If none was asked for and none stands out.
    """
    if split is not None:
        annotations.split(split)
        return split
    found = sorted({video.split for video in annotations.videos.values()})
    manifest = find_manifest(annotations.dataset)
    if manifest and manifest.splits.evaluate in found:
        return manifest.splits.evaluate
    for name in EVALUATION_SPLITS:
        if name in found:
            return name
    raise UsageError(
        f"dataset {annotations.dataset}: which split? There are: {', '.join(found) or 'none'}",
        hint="name one with --split",
    )


def score(
    detections: Detections,
    annotations: AnnotationSet,
    *,
    split: str,
    tiou_thresholds: Sequence[float],
    duplicates: Duplicates = "keep",
    protocol: str = "activitynet",
    coverage: GridCoverage | None = None,
    vocabulary: str | None = None,
) -> Scores:
    """Score detections against the annotated videos of a split.

    Protocol ``activitynet`` is `asl_kit.metrics.average_precision` averaged over the classes
    with ground truth, except that predictions for videos outside the split are left out and
    counted; the official script takes them for false positives.

    Parameters
    ----------
    detections : Detections
        Any videos, any classes of the vocabulary.
    annotations : AnnotationSet
        Videos of the split without annotation (`segments` is None) are left out.
    split : str
        Name of the split.
    tiou_thresholds : sequence of float
        Each in (0, 1].
    duplicates : {"keep", "drop"}
        Whether ground truth that occurs twice, or is shorter than 1 ms, counts (official), or
        not (ActionFormer, OpenTAD).
    protocol : str
        One of `PROTOCOLS`.
    coverage : GridCoverage, optional
        What the features leave out, if they are known.
    vocabulary : str, optional
        Which labels to score; needed if there are several.

    Raises
    ------
    AnnotationError
        If there is no such split or vocabulary, or the split has no ground truth.
    PredictionError
        If a class is not in the vocabulary.
    UsageError
        If protocol or thresholds are unknown or out of range.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{protocol}', expected one of: {', '.join(PROTOCOLS)}")
    vocabulary = annotations.vocabulary(vocabulary)
    classes = annotations.classes(vocabulary)
    videos = dict(sorted(annotations.split(split).items()))
    annotated = [video_id for video_id, video in videos.items() if video.segments is not None]

    truth, num_unlabelled = _truth(videos, annotated, classes, vocabulary)
    kept = drop_duplicates(truth) if duplicates == "drop" else np.arange(len(truth))
    num_dropped = len(truth) - len(kept)
    truth = truth.take(kept)
    if not len(truth):
        raise AnnotationError(
            f"dataset {annotations.dataset}: split '{split}' has no ground truth in vocabulary '{vocabulary}'",
            hint=f"{len(videos)} videos, {len(annotated)} of them annotated; score another split with --split",
        )
    predicted = _scored_segments(detections, annotated, classes, vocabulary)

    precision = average_precision(truth, predicted, num_classes=len(classes), tiou_thresholds=tiou_thresholds)
    recall = recall_at_top(truth, predicted, per_video=RECALL_PER_VIDEO, tiou_thresholds=tiou_thresholds)
    num_truth = np.bincount(truth.label, minlength=len(classes)).tolist()
    num_predicted = np.bincount(predicted.label, minlength=len(classes)).tolist()
    seen = set(np.unique(predicted.video).tolist())
    return Scores(
        protocol=protocol,
        split=split,
        vocabulary=vocabulary,
        tiou_thresholds=tuple(float(threshold) for threshold in tiou_thresholds),
        mean_average_precision=tuple(np.nanmean(precision, axis=1).tolist()),
        per_class={
            name: ClassScore(tuple(precision[:, label].tolist()), num_truth[label], num_predicted[label])
            for label, name in enumerate(classes)
            if num_truth[label]
        },
        recall_per_video=RECALL_PER_VIDEO,
        recall=tuple(recall.tolist()),
        coverage=Coverage(
            videos=len(annotated),
            videos_not_annotated=tuple(video_id for video_id, video in videos.items() if video.segments is None),
            videos_never_predicted=tuple(name for number, name in enumerate(annotated) if number not in seen),
            segments=len(truth),
            segments_without_label=num_unlabelled,
            duplicates=duplicates,
            segments_dropped=num_dropped,
            classes_without_ground_truth=tuple(name for label, name in enumerate(classes) if not num_truth[label]),
            classes_never_predicted=tuple(
                name for label, name in enumerate(classes) if num_truth[label] and not num_predicted[label]
            ),
            predictions=len(predicted),
            predictions_outside_split=len(detections) - len(predicted),
            grid=coverage,
        ),
    )


def _truth(
    videos: Mapping[str, Video], annotated: Sequence[str], classes: Sequence[str], vocabulary: str
) -> tuple[Segments, int]:
    """Return the ground truth, and the number of segments without a label in the vocabulary."""
    numbers = {name: number for number, name in enumerate(classes)}
    rows = [
        (number, segment.start, segment.end, numbers[segment.labels[vocabulary]])
        for number, video_id in enumerate(annotated)
        for segment in videos[video_id].segments or ()
        if vocabulary in segment.labels
    ]
    total = sum(len(videos[video_id].segments or ()) for video_id in annotated)
    table = np.array(rows, np.float64).reshape(-1, 4)
    video, label = table[:, 0].astype(np.int64), table[:, 3].astype(np.int64)
    return Segments(video, table[:, 1], table[:, 2], label), total - len(rows)


def _scored_segments(
    detections: Detections, annotated: Sequence[str], classes: Sequence[str], vocabulary: str
) -> ScoredSegments:
    """Return the detections of annotated videos, numbered like the ground truth."""
    class_numbers = {name: number for number, name in enumerate(classes)}
    for label in np.unique(detections.label).tolist():
        if detections.class_names[label] not in class_numbers:
            raise _unknown_class(detections, label, classes, vocabulary)
    video_numbers = {name: number for number, name in enumerate(annotated)}
    new_video = np.array([video_numbers.get(name, -1) for name in detections.video_ids], np.int64)
    new_label = np.array([class_numbers.get(name, -1) for name in detections.class_names], np.int64)
    video = new_video[detections.video]
    rows = video >= 0
    return ScoredSegments(
        video[rows],
        detections.start_s[rows],
        detections.end_s[rows],
        new_label[detections.label[rows]],
        detections.score[rows],
    )


def _unknown_class(detections: Detections, label: int, classes: Sequence[str], vocabulary: str) -> PredictionError:
    name = detections.class_names[label]
    video = detections.video_ids[detections.video[int(np.argmax(detections.label == label))]]
    known = ", ".join(classes[:MAX_NAMES_SHOWN]) + (", ..." if len(classes) > MAX_NAMES_SHOWN else "")
    close = difflib.get_close_matches(name, classes, n=1)
    return PredictionError(
        f"video '{video}': class '{name}' is not among the {len(classes)} of vocabulary '{vocabulary}': {known}",
        hint=f"did you mean '{close[0]}'?" if close else "predictions and annotations must be of the same dataset",
    )


def score_file(
    *,
    predictions: Path,
    annotations: Path,
    split: str | None = None,
    tiou: str | None = None,
    duplicates: Duplicates = "keep",
    protocol: str = "activitynet",
    vocabulary: str | None = None,
) -> Scores:
    """Score a predictions file; what is None comes from `choose_split` and `default_tiou`.

    Raises
    ------
    AslKitError
        As `score`, `read_annotations` and `read_predictions`.
    """
    tiou_thresholds = parse_tiou(tiou) if tiou is not None else None
    annotation_set = read_annotations(annotations)
    split = choose_split(annotation_set, split)
    detections = read_predictions(predictions)
    try:
        return score(
            detections,
            annotation_set,
            split=split,
            tiou_thresholds=tiou_thresholds or default_tiou(annotation_set.dataset),
            duplicates=duplicates,
            protocol=protocol,
            vocabulary=vocabulary,
        )
    except PredictionError as fault:
        raise PredictionError(f"{predictions}: {fault.message}", hint=fault.hint) from fault


def score_checkpoint(
    *,
    checkpoint: Path,
    annotations: Path,
    features: Sequence[Path],
    split: str | None = None,
    tiou: str | None = None,
    duplicates: Duplicates = "keep",
    protocol: str = "activitynet",
    vocabulary: str | None = None,
    device: str = "auto",
) -> tuple[Detections, Scores]:
    """Run a checkpoint on a split and score what it finds; what is None comes as in `score_file`.

    Raises
    ------
    AslKitError
        As `score`, `read_annotations` and `asl_evaluate.inference.evaluate_checkpoint`.
    """
    from asl_evaluate.inference import evaluate_checkpoint  # loads torch

    tiou_thresholds = parse_tiou(tiou) if tiou is not None else None
    annotation_set = read_annotations(annotations)
    split = choose_split(annotation_set, split)
    detections, coverage, trained_on = evaluate_checkpoint(
        checkpoint=checkpoint, annotations=annotation_set, features=list(features), split=split, device=device
    )
    scores = score(
        detections,
        annotation_set,
        split=split,
        tiou_thresholds=tiou_thresholds or default_tiou(annotation_set.dataset),
        duplicates=duplicates,
        protocol=protocol,
        coverage=coverage,
        vocabulary=vocabulary or trained_on,
    )
    return detections, scores


def write_results(folder: Path, scores: Scores, detections: Detections | None = None) -> None:
    """Write ``scores.json`` and, if given, ``detections.json`` into a folder, which is made.

    Raises
    ------
    UsageError
        If the folder cannot be made or written to.
    """
    try:
        if detections is not None:
            write_predictions(folder / "detections.json", detections)
        write_text(folder / "scores.json", json.dumps(scores.to_json(), indent=2) + "\n")
    except OSError as fault:
        raise UsageError(f"{folder}: cannot be written: {fault.strerror or fault}") from fault
