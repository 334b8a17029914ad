"""What a run trains on: annotations and stores, joined and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asl_kit import __version__
from asl_kit.annotations import read_annotations
from asl_kit.data import FeatureStreams, Split, load_split, training_split, validation_split
from asl_kit.errors import TrainingError
from asl_kit.files import sha256_of
from asl_kit.manifest import find_manifest
from asl_kit.progress import err
from asl_kit.recipe import Recipe

DEFAULT_TIOU_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class TrainingData:
    """The joined inputs of a run."""

    streams: FeatureStreams
    train: Split
    validation: Split | None
    class_names: tuple[str, ...]
    tiou_thresholds: tuple[float, ...]
    provenance: dict[str, Any]


def load_training_data(annotations: Path, features: Sequence[Path], recipe: Recipe) -> TrainingData:
    """Join annotations and stores into the splits of a run.

    Raises
    ------
    TrainingError
        If no video of the training split holds an action, or none lies where its video has features.
    """
    annotated = read_annotations(annotations)
    streams = FeatureStreams(features, resize_length=recipe.data.resize_length)
    vocabulary = annotated.vocabulary(recipe.data.vocabulary)
    class_names = tuple(annotated.classes(vocabulary))
    train_name = training_split(annotated, recipe.data.train_split)
    validation_name = validation_split(annotated, recipe.data.validation_split, train_name)
    train = load_split(annotated, train_name, streams, class_names, vocabulary)
    if not any(len(item.labels) for item in train.items):
        raise TrainingError(
            f"{annotations}: no video of split {train_name!r} that has features holds an action",
            hint="a model learns from segments: check the annotations with `asl-kit annotations stats`",
        )
    _check_places(annotations, train, train_name)
    validation = None
    if validation_name is not None:
        validation = load_split(annotated, validation_name, streams, class_names, vocabulary)
    for split, name in ((train, train_name), (validation, validation_name)):
        if split is not None and split.without_features:
            some = ", ".join(split.without_features[:5]) + (", ..." if len(split.without_features) > 5 else "")
            err().print(f"split {name}: {len(split.without_features)} videos without features are left out: {some}")
    manifest = find_manifest(annotated.dataset)
    provenance = {
        "asl_kit": __version__,
        "torch": str(torch.__version__),
        "dataset": annotated.dataset,
        "annotations_sha256": sha256_of(annotations),
        "vocabulary": vocabulary,
        "train_split": train_name,
        "train_videos": len(train.items),
        "train_segments": np.bincount(
            np.concatenate([item.labels for item in train.items]), minlength=len(class_names)
        ).tolist(),
        "validation_split": validation_name,
        "batch_size": recipe.optimizer.batch_size,
        "learning_rate": recipe.optimizer.learning_rate,
    }
    thresholds = tuple(manifest.tiou_thresholds) if manifest is not None else DEFAULT_TIOU_THRESHOLDS
    return TrainingData(streams, train, validation, class_names, thresholds, provenance)


def _check_places(annotations: Path, train: Split, name: str) -> None:
    """Say which videos have actions where there are no features, and refuse if there are no others."""
    outside = {}
    for item in train.items:
        index = item.grid.to_index(item.segments_s)
        # A feature stands for half a step on either side of its centre.
        count = int(((index[:, 1] <= -0.5) | (index[:, 0] >= item.grid.length - 0.5)).sum())
        if count:
            outside[item.video_id] = count
    some = ", ".join(list(outside)[:5]) + (", ..." if len(outside) > 5 else "")
    total = sum(outside.values())
    if total == sum(len(item.labels) for item in train.items):
        raise TrainingError(
            f"{annotations}: no action of split {name!r} lies where its video has features: {some}",
            hint="compare the times of the annotations with the features' (`asl-kit store list`): frame rate, stride?",
        )
    if outside:
        err().print(
            f"split {name}: {total} actions lie where their videos have no features, and teach nothing: {some}",
            markup=False,
        )
