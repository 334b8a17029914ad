"""Scores of detections against annotations: the protocol's numbers, and what they cover."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from asl_evaluate.actions import VOCABULARIES, read_actions
from asl_evaluate.coverage import GridCoverage
from asl_evaluate.preparation import Duplicates, Task
from asl_evaluate.protocols import find_protocol
from asl_evaluate.scores import Scores
from asl_evaluate.video_scores import DEFAULT_TOP_K, VideoScores, fuse, read_video_scores
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.base.files import write_text
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import PredictionError, UsageError
from asl_kit.manifests.files import find_manifest

DEFAULT_PROTOCOL = "activitynet"
DEFAULT_TIOU = "0.3:0.7:0.1"
EVALUATION_SPLITS = ("test", "validation", "val")
MAX_THRESHOLDS = 1000


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


def default_tiou(dataset: str, protocol: str = DEFAULT_PROTOCOL) -> tuple[float, ...]:
    """Return the protocol's own thresholds; else those of the dataset's manifest, or 0.3 to 0.7 if it has none."""
    own = find_protocol(protocol).tiou
    manifest = find_manifest(dataset)
    return manifest.tiou_thresholds if manifest and own is None else parse_tiou(own or DEFAULT_TIOU)


def default_protocol(dataset: str) -> str:
    """Return the name of the protocol of the dataset's manifest, or ``activitynet`` if it has none."""
    manifest = find_manifest(dataset)
    return manifest.protocol if manifest else DEFAULT_PROTOCOL


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
    class_agnostic: bool = False,
) -> Scores:
    """Score detections against the annotated videos of a split.

    Parameters
    ----------
    detections : Detections
        Any videos, any classes of the vocabulary. Those of videos outside the split are left out and counted.
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
        One of `asl_evaluate.protocols.PROTOCOLS`.
    coverage : GridCoverage, optional
        What the features leave out, if they are known.
    vocabulary : str, optional
        Which labels to score; needed if there are several, unless the protocol scores them all.
    class_agnostic : bool
        Take all classes for one.

    Raises
    ------
    AnnotationError
        If there is no such split or vocabulary, or the split has no ground truth.
    PredictionError
        If a class is not in the vocabulary.
    UsageError
        If the protocol is unknown, or cannot do what is asked.
    """
    task = Task(
        detections=detections,
        annotations=annotations,
        split=split,
        tiou_thresholds=tuple(float(threshold) for threshold in tiou_thresholds),
        duplicates=duplicates,
        vocabulary=vocabulary,
        class_agnostic=class_agnostic,
        grid=coverage,
    )
    return find_protocol(protocol).score(task)


def evaluate_predictions(
    predictions: str | Path | Sequence[str | Path],
    annotations: str | Path,
    *,
    split: str | None = None,
    tiou: str | None = None,
    duplicates: Duplicates = "keep",
    protocol: str | None = None,
    vocabulary: str | None = None,
    class_agnostic: bool = False,
    video_scores: Path | None = None,
    top_k: int = DEFAULT_TOP_K,
) -> Scores:
    """Score a predictions file, as ``asl-kit eval --predictions`` does.

    Parameters
    ----------
    predictions : path or sequence of paths
        ActivityNet detection JSON; protocol ``epic-kitchens`` takes what `asl_evaluate.actions.read_actions` reads,
        two files as well.
    annotations : path
        Unified annotations.
    split : str, optional
        Which videos; see `choose_split`.
    tiou : str, optional
        Thresholds, ``LO:HI:STEP``; see `default_tiou`.
    duplicates : {"keep", "drop"}
        See `score`.
    protocol : str, optional
        One of `asl_evaluate.protocols.PROTOCOLS`; see `default_protocol`.
    vocabulary, class_agnostic
        See `score`.
    video_scores : Path, optional
        Scores of whole videos, by which classes are named.
    top_k : int
        Classes by `video_scores` a detection.

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
    plan = _plan(tiou, protocol, class_agnostic, video_scores, top_k)
    annotation_set = read_annotations(annotations)
    split = choose_split(annotation_set, split)
    detections = _read(paths, annotation_set, protocol, vocabulary)
    try:
        return plan.score(detections, annotation_set, split, duplicates, vocabulary)
    except PredictionError as fault:
        if fault.message.startswith(f"{video_scores}: "):
            raise
        raise PredictionError(f"{', '.join(map(str, paths))}: {fault.message}", hint=fault.hint) from fault


def _read(
    paths: Sequence[Path], annotations: AnnotationSet, protocol: str | None, vocabulary: str | None
) -> Detections:
    protocol = protocol or default_protocol(annotations.dataset)
    is_joint = find_protocol(protocol).joint and vocabulary is None
    if is_joint and all(name in annotations.vocabularies for name in VOCABULARIES):
        return read_actions(paths, *(annotations.classes(name) for name in VOCABULARIES))
    if len(paths) != 1:
        raise UsageError(f"--predictions: expected one file for protocol {protocol}, found {len(paths)}")
    return read_predictions(paths[0])


def score_checkpoint(
    *,
    checkpoint: Path,
    annotations: Path,
    features: Sequence[Path],
    split: str | None = None,
    tiou: str | None = None,
    duplicates: Duplicates = "keep",
    protocol: str | None = None,
    vocabulary: str | None = None,
    class_agnostic: bool = False,
    video_scores: Path | None = None,
    top_k: int = DEFAULT_TOP_K,
    device: str = "auto",
) -> tuple[DetectionTables, Scores]:
    """Run a checkpoint on a split and score what it finds; what is None comes as in `evaluate_predictions`.

    Returns
    -------
    DetectionTables
        Of the videos of the split.
    Scores
        Of several vocabularies, each is a part, unless one is asked for; of a protocol that scores
        verbs and nouns as one list, the parts are those of that list.

    Raises
    ------
    AslKitError
        As `score`, `read_annotations` and `asl_evaluate.checkpoint_detections.detect_split`.
    """
    from asl_evaluate.checkpoint_detections import detect_split  # loads torch

    plan = _plan(tiou, protocol, class_agnostic, video_scores, top_k)
    annotation_set = read_annotations(annotations)
    split = choose_split(annotation_set, split)
    tables, coverage = detect_split(
        checkpoint=checkpoint, annotations=annotation_set, features=list(features), split=split, device=device
    )
    trained = tables.by_vocabulary
    if vocabulary is not None and vocabulary not in trained:
        raise UsageError(f"{checkpoint}: not trained on vocabulary '{vocabulary}', but on {', '.join(trained)}")
    actions = tables.combined if tuple(trained) == VOCABULARIES else None
    is_joint = find_protocol(plan.protocol or default_protocol(annotation_set.dataset)).joint
    if vocabulary is None and actions is not None and is_joint:
        return tables, plan.score(actions, annotation_set, split, duplicates, None, coverage)
    parts = {
        name: plan.score(table, annotation_set, split, duplicates, name, coverage)
        for name, table in trained.items()
        if vocabulary in (None, name)
    }
    scores = next(iter(parts.values()))
    return tables, replace(scores, parts=parts) if len(parts) > 1 else scores


@dataclass(frozen=True)
class _Plan:
    """What was asked of the scoring, found sound before any work is done."""

    protocol: str | None
    tiou_thresholds: tuple[float, ...] | None
    class_agnostic: bool
    video_scores: VideoScores | None
    top_k: int

    def score(
        self,
        detections: Detections,
        annotations: AnnotationSet,
        split: str,
        duplicates: Duplicates,
        vocabulary: str | None,
        coverage: GridCoverage | None = None,
    ) -> Scores:
        protocol = self.protocol or default_protocol(annotations.dataset)
        if self.video_scores is not None:
            detections = fuse(detections, self.video_scores, self.top_k, videos=annotations.split(split))
        return score(
            detections,
            annotations,
            split=split,
            tiou_thresholds=self.tiou_thresholds or default_tiou(annotations.dataset, protocol),
            duplicates=duplicates,
            protocol=protocol,
            coverage=coverage,
            vocabulary=vocabulary,
            class_agnostic=self.class_agnostic,
        )


def _plan(tiou: str | None, protocol: str | None, class_agnostic: bool, video_scores: Path | None, top_k: int) -> _Plan:
    if protocol is not None and find_protocol(protocol).by_frame and tiou is not None:
        raise UsageError(f"protocol {protocol} scores moments: it has no tIoU thresholds", hint="leave out --tiou")
    if class_agnostic and video_scores is not None:
        raise UsageError("scores of videos name classes, which a class-agnostic evaluation does not know")
    return _Plan(
        protocol,
        parse_tiou(tiou) if tiou is not None else None,
        class_agnostic,
        read_video_scores(video_scores) if video_scores is not None else None,
        top_k,
    )


def write_results(folder: Path, scores: Scores, tables: DetectionTables | None = None) -> None:
    """Write ``scores.json`` and, if given, ``detections.json`` (of several vocabularies, each) into a folder; make it.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to.
    """
    if tables is not None:
        for path, detections in tables.files(folder / "detections.json").items():
            write_predictions(path, detections)
    write_text(folder / "scores.json", json.dumps(scores.to_json(), indent=2) + "\n")
