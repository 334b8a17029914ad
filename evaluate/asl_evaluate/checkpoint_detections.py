"""A checkpoint applied to annotated videos, to be scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_evaluate.coverage import GridCoverage
from asl_kit.annotations import AnnotationSet
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import load_split
from asl_kit.detections.table import Detections
from asl_kit.errors import CheckpointError, SpecConflictError
from asl_kit.inference.detect import detect_videos, resolve_window_length
from asl_kit.torch_utils.device import choose_device, choose_precision


def evaluate_checkpoint(
    checkpoint: Path, annotations: AnnotationSet, features: Sequence[Path], *, split: str, device: str = "auto"
) -> tuple[dict[str, Detections], GridCoverage]:
    """Detect the actions of a split with a trained model.

    Parameters
    ----------
    checkpoint : Path
        A trained model.
    annotations : AnnotationSet
        Unified annotations.
    features : sequence of Path
        Feature stores, in the order in which the model was trained on them.
    split : str
        Which videos.
    device : str
        Where to compute.

    Returns
    -------
    dict of str to Detections
        Of every video of the split that has features, by vocabulary: see `asl_kit.inference.detect.to_detections`.
    GridCoverage
        What the features can and cannot see of the ground truth.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read, or the annotations hold a class that it does not know.
    SpecConflictError
        If the features were made in another way than those that the model was trained on.
    """
    trained = load_checkpoint(checkpoint)
    streams = FeatureReader(features, resize_length=trained.recipe.data.resize_length)
    check_streams(trained, streams, checkpoint)
    vocabularies = {annotations.vocabulary(name or None): names for name, names in trained.vocabularies.items()}
    for vocabulary, known in vocabularies.items():
        check_classes(known, annotations.classes(vocabulary), checkpoint)
    chosen = choose_device(device)
    videos = load_split(annotations, split, streams, vocabularies)
    detections = detect_videos(
        trained.build().to(chosen),
        videos.items,
        streams,
        vocabularies=vocabularies,
        settings=trained.recipe.inference,
        window_length=resolve_window_length(trained.recipe.inference, trained.shape.sequence_length),
        precision=choose_precision(trained.recipe.run.precision, chosen),
    )
    coverage = GridCoverage.measure(annotations.split(split), {item.video_id: item.grid for item in videos.items})
    return detections, coverage


def check_streams(checkpoint: Checkpoint, streams: FeatureReader, path: Path) -> None:
    """Refuse features that were made in another way than those the model was trained on.

    Raises
    ------
    SpecConflictError
        Naming each difference, with both values.
    """
    if len(streams.specs) != len(checkpoint.extraction):
        raise SpecConflictError(
            f"{path}: trained on {len(checkpoint.extraction)} feature streams, {len(streams.specs)} given",
            hint="give the stores in the same order: --features STORE,STORE",
        )
    for store, trained_spec in zip(streams.stores, checkpoint.extraction, strict=True):
        differences = trained_spec.differences(store.spec)
        if differences:
            raise SpecConflictError(
                f"{store.path}: not made like the features that {path} was trained on:\n  " + "\n  ".join(differences),
                hint="extract the videos as the model's features were (trained on the first value, found the second)",
            )


def check_classes(known: Sequence[str], classes: Sequence[str], path: Path) -> None:
    """Refuse annotations with a class that the model cannot name.

    Raises
    ------
    CheckpointError
        Naming the classes.
    """
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise CheckpointError(
            f"{path}: the model does not know {len(unknown)} of the annotations' classes: {', '.join(unknown[:5])}"
            f"{', ...' if len(unknown) > 5 else ''}",
            hint=f"it was trained on {len(known)} classes: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}",
        )
