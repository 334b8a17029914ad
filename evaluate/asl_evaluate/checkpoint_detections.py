"""The detections of trained models in annotated videos, which are then scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asl_evaluate.coverage import GridCoverage
from asl_evaluate.video_scores import VideoScores
from asl_kit.annotations import AnnotationSet
from asl_kit.checkpoint.ensemble import Ensemble
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import VideoItem, load_split
from asl_kit.detections.table import DetectionTables
from asl_kit.errors import CheckpointError, SpecConflictError, first_few
from asl_kit.inference.detector import Detector
from asl_kit.recipes.schema import ONE_CLASS
from asl_kit.remote.address import Address


def detect_split(
    ensemble: Ensemble,
    annotations: AnnotationSet,
    features: Sequence[Path | Address],
    *,
    split: str,
    device: str = "auto",
    video_scores: VideoScores | None = None,
    needs_classes: bool = False,
) -> tuple[DetectionTables, GridCoverage]:
    """Detect the actions in the videos of a split.

    Parameters
    ----------
    ensemble : Ensemble
        One trained model, or several.
    annotations : AnnotationSet
        Unified annotations.
    features : sequence of Path or Address
        Feature stores, in the order of the ensemble's streams.
    split : str
        Name of the split, or of several, joined by commas.
    device : str
        As for `asl_kit.inference.detector.Detector.from_ensemble`.
    video_scores : VideoScores, optional
        Scores of videos that will name the classes: they must have all videos that the model runs on.
    needs_classes : bool
        Refuse a model of one class without `video_scores`.

    Returns
    -------
    DetectionTables
        Detections in every video of the split that has features and is annotated; if none is annotated, in all that
        have features.
    GridCoverage
        Which part of the ground truth the features cover.

    Raises
    ------
    CheckpointError
        If the annotations contain a class that the model does not have, or the model has one class and classes are
        needed.
    PredictionError
        If `video_scores` lack a video.
    SpecConflictError
        If the features were not made like those that the model was trained on.
    """
    reader = FeatureReader(features, ensemble.recipe.data)
    check_streams(ensemble, reader)
    if "" in ensemble.vocabularies:
        ensemble = ensemble.named(annotations.vocabulary())
    vocabularies = ensemble.vocabularies
    one_class = ensemble.recipe.data.one_class
    if one_class:  # it detects actions of any classes
        vocabularies = {name: tuple(annotations.classes(name)) for name in vocabularies}
    for vocabulary, known in vocabularies.items():
        check_classes(known, annotations.classes(vocabulary), ensemble.source)
    if one_class and needs_classes and video_scores is None:
        raise CheckpointError(
            f"{ensemble.source}: this model knows one class, {ONE_CLASS!r}, and does not name those of its detections",
            hint="name them with --video-scores FILE, or score without classes: --class-agnostic, --protocol proposals",
        )
    items = load_videos(annotations, split, reader, vocabularies)
    if video_scores is not None:
        video_scores.require_videos(item.video_id for item in items)
    detector = Detector.from_ensemble(ensemble, device)
    coverage = GridCoverage.measure(annotations.split(split), {item.video_id: item.grid for item in items})
    return detector.detect_videos(items, reader), coverage


def load_videos(
    annotations: AnnotationSet, split: str, reader: FeatureReader, vocabularies: Mapping[str, Sequence[str]]
) -> list[VideoItem]:
    """Return the annotated videos of a split that have features; if none is annotated, all that have features.

    Parameters and errors are those of `asl_kit.dataset.split.load_split`.
    """
    blind = not is_annotated(annotations, split)
    return load_split(annotations, split, reader, vocabularies, with_unannotated=blind).items


def is_annotated(annotations: AnnotationSet, split: str) -> bool:
    """Return whether a video of the split is annotated; the labels of a test split may be withheld."""
    return any(video.segments is not None for video in annotations.split(split).values())


def check_streams(ensemble: Ensemble, reader: FeatureReader) -> None:
    """Refuse features that were not made like those that the model was trained on.

    Raises
    ------
    SpecConflictError
        Names each difference with both values.
    """
    wanted = ensemble.extraction
    if len(reader.specs) != len(wanted):
        streams = ", ".join(f"{spec.backbone} {spec.weights}".strip() for spec in wanted)
        raise SpecConflictError(
            f"{ensemble.source}: trained on {len(wanted)} feature streams ({streams}), {len(reader.specs)} given",
            hint="give the stores in the same order: --features STORE,STORE",
        )
    for store, trained_spec in zip(reader.stores, wanted, strict=True):
        differences = trained_spec.differences(store.spec)
        if differences:
            raise SpecConflictError(
                f"{store.path}: not made like the features that {ensemble.source} was trained on:\n  "
                + "\n  ".join(differences),
                hint="extract the videos as the model's features were (trained on the first value, found the second)",
            )


def check_classes(known: Sequence[str], classes: Sequence[str], model: str) -> None:
    """Refuse annotations with a class that a model, which is named in the message, does not have.

    Raises
    ------
    CheckpointError
        Names the classes.
    """
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise CheckpointError(
            f"{model}: the model does not know {len(unknown)} of the annotations' classes: {first_few(unknown)}",
            hint=f"it was trained on {len(known)} classes: {first_few(known, 10)}",
        )
