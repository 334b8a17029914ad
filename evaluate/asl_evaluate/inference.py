"""A checkpoint applied to annotated videos (to be scored) or to new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asl_evaluate.coverage import GridCoverage
from asl_kit.annotations import AnnotationSet
from asl_kit.checkpoint import Checkpoint, load_checkpoint
from asl_kit.data import FeatureStreams, load_split, resample
from asl_kit.detection import (
    detect,
    detect_videos,
    resolve_window_length,
    to_detections,
)
from asl_kit.device import choose_device, choose_precision
from asl_kit.errors import CheckpointError, SpecConflictError
from asl_kit.grid import FeatureGrid
from asl_kit.predictions import Detections


@dataclass(frozen=True)
class NewVideo:
    """Features of a video that has no annotations."""

    video_id: str
    features: NDArray[np.float32]
    """(T, D)."""
    grid: FeatureGrid
    duration_s: float


def detect_new(checkpoint: Checkpoint, videos: Sequence[NewVideo], *, device: str = "auto") -> dict[str, Detections]:
    """Find actions in videos by their features; returned as by `asl_kit.detection.to_detections`.

    Parameters
    ----------
    checkpoint : Checkpoint
        A trained model.
    videos : sequence of NewVideo
        Extracted with the checkpoint's own spec.
    device : str
        Where to compute.
    """
    chosen = choose_device(device)
    network = checkpoint.build().to(chosen)
    resize_length = checkpoint.recipe.data.resize_length
    found = []
    for video in videos:
        grid = video.grid if resize_length is None else video.grid.resized(resize_length)
        features = video.features if resize_length is None else resample(video.features, video.grid, grid)
        found.append(
            detect(
                network,
                torch.from_numpy(features),
                grid=grid,
                duration_s=video.duration_s,
                classes=[len(names) for names in checkpoint.vocabularies.values()],
                settings=checkpoint.recipe.inference,
                window_length=resolve_window_length(checkpoint.recipe.inference, checkpoint.shape.sequence_length),
                precision=choose_precision(checkpoint.recipe.run.precision, chosen),
            )
        )
    return to_detections([video.video_id for video in videos], found, checkpoint.vocabularies)


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
        Of every video of the split that has features, by vocabulary: see `asl_kit.detection.to_detections`.
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
    streams = FeatureStreams(features, resize_length=trained.recipe.data.resize_length)
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


def check_streams(checkpoint: Checkpoint, streams: FeatureStreams, path: Path) -> None:
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
