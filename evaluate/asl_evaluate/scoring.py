"""Scores of detections against annotations, from tables, from predictions files and from checkpoints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from asl_evaluate.coverage import GridCoverage
from asl_evaluate.epic_actions import VOCABULARIES, read_actions
from asl_evaluate.options import DEFAULT_PROTOCOL, DEFAULTS, ScoringOptions
from asl_evaluate.prediction_check import check_predictions, report_findings
from asl_evaluate.scores import Scores
from asl_evaluate.task import Task
from asl_evaluate.video_score_files import read_video_scores
from asl_evaluate.video_scores import VideoScores, fuse, fuse_tables, only_vocabulary
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.annotations.tables import DEFAULT_TABLE
from asl_kit.base.files import write_text
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import AnnotationError, PredictionError, UsageError, error_context
from asl_kit.remote.address import Place, path_or_address


class CheckpointScores(NamedTuple):
    """The scores of a checkpoint, and the detections that were scored."""

    scores: Scores
    detections: DetectionTables


def score(
    detections: Detections,
    annotations: AnnotationSet,
    options: ScoringOptions = DEFAULTS,
    *,
    grid: GridCoverage | None = None,
) -> Scores:
    """Score detections against the annotated videos of a split.

    Parameters
    ----------
    detections : Detections
        Detections in any videos, with any classes of the vocabulary. Those in videos outside the split are left out
        and counted.
    annotations : AnnotationSet
        Ground truth. Videos without annotation (`segments` is None) are left out.
    options : ScoringOptions
        How to score.
    grid : GridCoverage, optional
        What the features leave out, if they are known.

    Raises
    ------
    AnnotationError
        If there is no such split or vocabulary, or the split has no ground truth.
    PredictionError
        If a class is not in the vocabulary.
    UsageError
        If the protocol does not support the options.
    """
    task = _task(detections, annotations, options, _video_scores(options), grid)
    return options.protocol_for(annotations.dataset).score(task)


def evaluate_predictions(
    predictions: str | Path | Sequence[str | Path], annotations: str | Path, options: ScoringOptions = DEFAULTS
) -> Scores:
    """Score a predictions file, like ``asl-kit eval --predictions``.

    Parameters
    ----------
    predictions : path or sequence of paths
        ActivityNet detection JSON. Protocol ``epic-kitchens`` takes what `asl_evaluate.epic_actions.read_actions`
        reads, two files as well.
    annotations : path
        Unified annotations.
    options : ScoringOptions
        How to score, and how to read tables.

    Returns
    -------
    Scores
        Its ``to_json()`` is what ``--json`` writes.

    Raises
    ------
    AslKitError
        As `score`, `read_annotations`, `read_predictions`, `read_actions` and `read_video_scores`.
    """
    paths = [Path(one) for one in ([predictions] if isinstance(predictions, str | Path) else predictions)]
    video_scores = _video_scores(options)
    annotation_set = read_annotations(Path(annotations))
    split = options.split_of(annotation_set)  # fails before the predictions are read
    detections = _read(paths, annotation_set, options)
    source = ", ".join(map(str, paths))
    findings = check_predictions(detections, annotation_set, split=split).findings
    report_findings(findings, source, annotations=annotations if len(paths) == 1 else None)
    with error_context(source, PredictionError):
        task = _task(detections, annotation_set, options, video_scores)
        return options.protocol_for(annotation_set.dataset).score(task)


def evaluate_checkpoint(
    checkpoint: str | Path | Sequence[str | Path],
    annotations: str | Path,
    features: Place | Sequence[Place],
    options: ScoringOptions = DEFAULTS,
    *,
    fusion_weights: Sequence[float] | None = None,
    device: str = "auto",
) -> CheckpointScores:
    """Detect actions in the videos of a split with a trained model, and score them, like ``asl-kit eval --checkpoint``.

    Parameters
    ----------
    checkpoint : path or sequence of paths
        A trained model, or several whose outputs are averaged: see `asl_kit.checkpoint.ensemble.load_ensemble`.
    annotations : path
        Unified annotations.
    features : path or sequence of paths
        Feature stores, in the order in which the model was trained on them; those of a further model follow, if it
        takes others.
    options : ScoringOptions
        How to score.
    fusion_weights : sequence of float, optional
        Weight of each checkpoint. Default: equal.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns
    -------
    CheckpointScores
        With `options.video_scores`, the detections have the classes that these name. The scores of several
        vocabularies are `parts`, unless one is asked for; with a protocol that scores verbs and nouns together, the
        parts are the protocol's.

    Raises
    ------
    AslKitError
        As `score`, `read_annotations`, `read_video_scores`, `asl_kit.checkpoint.ensemble.load_ensemble` and
        `asl_evaluate.checkpoint_detections.detect_split`.
    """
    scores, tables = detect_and_score(
        checkpoint, annotations, features, options, fusion_weights=fusion_weights, device=device
    )
    assert scores is not None
    return CheckpointScores(scores, tables)


def detect_and_score(
    checkpoint: str | Path | Sequence[str | Path],
    annotations: str | Path,
    features: Place | Sequence[Place],
    options: ScoringOptions = DEFAULTS,
    *,
    fusion_weights: Sequence[float] | None = None,
    device: str = "auto",
    needs_scores: bool = True,
) -> tuple[Scores | None, DetectionTables]:
    """Return what `evaluate_checkpoint` does, which has the parameters; without scores if the labels are withheld.

    `needs_scores` refuses a split whose labels are withheld, before the model runs.
    """
    from asl_evaluate.checkpoint_detections import detect_split, is_annotated  # loads torch
    from asl_kit.checkpoint.ensemble import load_ensemble

    if options.table != DEFAULT_TABLE:
        raise UsageError("columns or an encoding are stated, but no table is read: they are for --predictions x.csv")
    video_scores = _video_scores(options)
    annotation_set = read_annotations(Path(annotations))
    stores = [path_or_address(one) for one in ([features] if isinstance(features, Place) else features)]
    split = options.split_of(annotation_set)
    can_be_scored = is_annotated(annotation_set, split)
    if needs_scores and not can_be_scored:
        raise AnnotationError(
            f"{annotations}: no video of split '{split}' is annotated: nothing can be scored",
            hint="--out DIR writes the detections, and asl-kit submit what a benchmark's server takes",
        )
    if video_scores is not None:
        vocabulary = annotation_set.vocabulary(options.vocabulary)
        video_scores.require_classes(annotation_set.classes(vocabulary), vocabulary)
    protocol = options.protocol_for(annotation_set.dataset)
    ensemble = load_ensemble([checkpoint] if isinstance(checkpoint, str | Path) else checkpoint, fusion_weights)
    tables, grid = detect_split(
        ensemble,
        annotation_set,
        stores,
        split=split,
        device=device,
        video_scores=video_scores,
        needs_classes=not options.class_agnostic and not protocol.class_agnostic,
    )
    if options.vocabulary is not None and options.vocabulary not in tables.by_vocabulary:
        trained = ", ".join(tables.by_vocabulary)
        raise UsageError(f"{ensemble.source}: not trained on vocabulary '{options.vocabulary}', but on {trained}")
    if video_scores is not None:
        name = only_vocabulary(tables.by_vocabulary, options.vocabulary)
        tables = fuse_tables(DetectionTables({name: tables.by_vocabulary[name]}), video_scores, options.top_k)

    if not can_be_scored:
        return None, tables

    def scored(table: Detections, vocabulary: str | None) -> Scores:
        own = replace(options, vocabulary=vocabulary)
        return protocol.score(own.task(table, annotation_set, grid=grid))

    actions = tables.combined if tuple(tables.by_vocabulary) == VOCABULARIES else None
    if options.vocabulary is None and actions is not None and protocol.joint:
        return scored(actions, None), tables
    parts = {
        name: scored(table, name) for name, table in tables.by_vocabulary.items() if options.vocabulary in (None, name)
    }
    scores = next(iter(parts.values()))
    return replace(scores, parts=parts) if len(parts) > 1 else scores, tables


def read_tasks(predictions: Sequence[str | Path], annotations: str | Path, options: ScoringOptions) -> list[Task]:
    """Return the task of each predictions file, for diagnoses and comparisons, which score with ``activitynet``.

    Raises
    ------
    UsageError
        If the options name another protocol.
    AslKitError
        As `read_annotations`, `read_predictions` and `ScoringOptions.task`.
    """
    if options.protocol not in (None, DEFAULT_PROTOCOL):
        raise UsageError(f"protocol {options.protocol} has no diagnosis or comparison, only {DEFAULT_PROTOCOL} has")
    options = replace(options, protocol=DEFAULT_PROTOCOL)
    video_scores = _video_scores(options)
    annotation_set = read_annotations(Path(annotations))
    split = options.split_of(annotation_set)  # fails before the predictions are read
    tasks = []
    for path in map(Path, predictions):
        detections = read_predictions(path, options.table)
        report_findings(
            check_predictions(detections, annotation_set, split=split).findings, path, annotations=annotations
        )
        with error_context(path, PredictionError):
            tasks.append(_task(detections, annotation_set, options, video_scores))
    return tasks


def _video_scores(options: ScoringOptions) -> VideoScores | None:
    return read_video_scores(Path(options.video_scores)) if options.video_scores is not None else None


def _task(
    detections: Detections,
    annotations: AnnotationSet,
    options: ScoringOptions,
    video_scores: VideoScores | None,
    grid: GridCoverage | None = None,
) -> Task:
    """Return the task, its detections named by the scores of videos if there are any."""
    task = options.task(detections, annotations, grid=grid)
    if video_scores is None:
        return task
    vocabulary = annotations.vocabulary(task.vocabulary)
    video_scores.require_classes(annotations.classes(vocabulary), vocabulary)
    videos = annotations.split(task.split)
    return replace(task, detections=fuse(detections, video_scores, options.top_k, videos=videos))


def _read(paths: Sequence[Path], annotations: AnnotationSet, options: ScoringOptions) -> Detections:
    protocol = options.protocol_for(annotations.dataset)
    is_joint = protocol.joint and options.vocabulary is None
    if is_joint and all(name in annotations.vocabularies for name in VOCABULARIES):
        verbs, nouns = (annotations.classes(name) for name in VOCABULARIES)
        return read_actions(paths, verbs, nouns, options.table)
    if len(paths) != 1:
        raise UsageError(f"--predictions: expected one file for protocol {protocol.name}, found {len(paths)}")
    return read_predictions(paths[0], options.table)


def write_results(folder: Path, scores: Scores | None, tables: DetectionTables | None = None) -> None:
    """Write ``scores.json`` and ``detections.json`` (a file per vocabulary), whichever are given, into a new folder.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to.
    """
    if tables is not None:
        for path, detections in tables.files(folder / "detections.json").items():
            write_predictions(path, detections)
    if scores is not None:
        write_text(folder / "scores.json", json.dumps(scores.to_json(), indent=2) + "\n")


def write_csv(path: Path, scores: Scores) -> None:
    """Write one row for all classes and one per class, for each task if there are several; scores are in [0, 1].

    Columns: task, class, one per tIoU threshold (``AP@0.5``), ``AP``, ``segments``, ``predictions``. In the row of all
    classes, the class is empty.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    thresholds = scores.tiou_thresholds
    writer.writerow(
        ["task", "class", *(f"AP@{threshold:g}" for threshold in thresholds), "AP", "segments", "predictions"]
    )
    for name, part in (scores.parts or {scores.vocabulary: scores}).items():
        if part.average_map is not None:
            by_tiou = part.mean_average_precision if thresholds else ()
            coverage = part.coverage
            writer.writerow([name, "", *by_tiou, part.average_map, coverage.segments, coverage.predictions])
        for label, found in part.per_class.items():
            by_tiou = found.average_precision if thresholds else ()
            writer.writerow([name, label, *by_tiou, found.mean, found.segments, found.predictions])
    write_text(path, text.getvalue())
