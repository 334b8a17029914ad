"""The detections of trained models in annotated videos, which are then scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_evaluate.coverage import GridCoverage
from asl_kit.annotations import AnnotationSet
from asl_kit.checkpoint.ensemble import Ensemble
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import load_split
from asl_kit.detections.table import DetectionTables
from asl_kit.errors import CheckpointError, SpecConflictError, first_few
from asl_kit.inference.detector import Detector
from asl_kit.remote.address import Address


def detect_split(
    ensemble: Ensemble,
    annotations: AnnotationSet,
    features: Sequence[Path | Address],
    *,
    split: str,
    device: str = "auto",
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
        Name of the split.
    device : str
        As for `asl_kit.inference.detector.Detector.from_ensemble`.

    Returns
    -------
    DetectionTables
        Detections in every video of the split that has features.
    GridCoverage
        Which part of the ground truth the features cover.

    Raises
    ------
    CheckpointError
        If the annotations contain a class that the model does not have.
    SpecConflictError
        If the features were not made like those that the model was trained on.
    """
    reader = FeatureReader(features, ensemble.recipe.data)
    check_streams(ensemble, reader)
    if "" in ensemble.vocabularies:
        ensemble = ensemble.named(annotations.vocabulary())
    for vocabulary, known in ensemble.vocabularies.items():
        check_classes(known, annotations.classes(vocabulary), ensemble.source)
    items = load_split(annotations, split, reader, ensemble.vocabularies).items
    detector = Detector.from_ensemble(ensemble, device)
    coverage = GridCoverage.measure(annotations.split(split), {item.video_id: item.grid for item in items})
    return detector.detect_videos(items, reader), coverage


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
