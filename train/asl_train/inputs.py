"""What a run trains on: annotations and stores, joined and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asl_kit import __version__
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.base.console import err
from asl_kit.base.files import sha256_of
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import Split, load_split, training_split, validation_split
from asl_kit.detections.table import JOINT
from asl_kit.errors import AnnotationError, TrainingError
from asl_kit.manifests.files import default_tiou_thresholds, find_manifest
from asl_kit.model.assignment import UNLABELLED
from asl_kit.recipes.schema import Recipe


@dataclass(frozen=True)
class TrainingData:
    """The joined inputs of a run."""

    streams: FeatureReader
    train: Split
    validation: Split | None
    vocabularies: Mapping[str, tuple[str, ...]]
    """Class names of what is learned, by vocabulary."""
    tiou_thresholds: tuple[float, ...]
    provenance: dict[str, Any]


def load_training_data(annotations: Path, features: Sequence[Path], recipe: Recipe) -> TrainingData:
    """Join annotations and stores into the splits of a run.

    Raises
    ------
    AnnotationError
        If a vocabulary is not there, or none is named and there are several.
    TrainingError
        If no video of the training split holds an action, or none lies where its video has features.
    """
    annotated = read_annotations(annotations)
    streams = FeatureReader(features, resize_length=recipe.data.resize_length)
    vocabularies = {name: tuple(annotated.classes(name)) for name in _learned(annotated, recipe.data.vocabulary)}
    if len(vocabularies) > 1:
        _check_names(annotations, vocabularies)
    train_name = training_split(annotated, recipe.data.train_split)
    validation_name = validation_split(annotated, recipe.data.validation_split, train_name)
    train = load_split(annotated, train_name, streams, vocabularies)
    if not any(len(item.labels) for item in train.items):
        raise TrainingError(
            f"{annotations}: no video of split {train_name!r} that has features holds an action",
            hint="a model learns from segments: check the annotations with `asl-kit annotations stats`",
        )
    _check_places(annotations, train, train_name)
    validation = None
    if validation_name is not None:
        validation = load_split(annotated, validation_name, streams, vocabularies)
    for split, name in ((train, train_name), (validation, validation_name)):
        if split is not None and split.without_features:
            some = ", ".join(split.without_features[:5]) + (", ..." if len(split.without_features) > 5 else "")
            err().print(f"split {name}: {len(split.without_features)} videos without features are left out: {some}")
    provenance = {
        "asl_kit": __version__,
        "torch": str(torch.__version__),
        "dataset": annotated.dataset,
        "annotations_sha256": sha256_of(annotations),
        "train_split": train_name,
        "train_videos": len(train.items),
        "train_segments": _segments_of_classes(train, sum(map(len, vocabularies.values()))),
        "validation_split": validation_name,
        "batch_size": recipe.optimizer.batch_size,
        "learning_rate": recipe.optimizer.learning_rate,
    }
    thresholds = default_tiou_thresholds(annotated.dataset)
    return TrainingData(streams, train, validation, vocabularies, thresholds, provenance)


def _learned(annotations: AnnotationSet, wanted: str | tuple[str, ...] | None) -> list[str]:
    """Return the vocabularies to learn: those wanted, or the only one there is."""
    if isinstance(wanted, tuple):
        return [annotations.vocabulary(name) for name in wanted]
    if wanted is None and len(annotations.vocabularies) > 1:
        manifest = find_manifest(annotations.dataset)
        order = list(manifest.vocabularies) if manifest is not None else []
        names = sorted(annotations.vocabularies, key=lambda name: order.index(name) if name in order else len(order))
        raise AnnotationError(
            f"dataset {annotations.dataset}: several vocabularies ({', '.join(names)})",
            hint=f"learn one, --set data.vocabulary={names[0]}, or several together:"
            f" --set 'data.vocabulary={json.dumps(names)}'",
        )
    return [annotations.vocabulary(wanted)]


def _check_names(annotations: Path, vocabularies: Mapping[str, Sequence[str]]) -> None:
    """Refuse names that cannot be told apart once they are joined."""
    for vocabulary, class_names in vocabularies.items():
        for name in (vocabulary, *class_names):
            if JOINT in name:
                raise AnnotationError(
                    f"{annotations}: vocabulary {vocabulary!r}: {name!r} holds {JOINT!r}, which joins the classes of"
                    " vocabularies that are learned together",
                    hint="rename it, or learn each vocabulary by itself",
                )


def _segments_of_classes(split: Split, classes: int) -> list[int]:
    labels = np.concatenate([item.labels.flatten() for item in split.items])
    counts: list[int] = np.bincount(labels[labels != UNLABELLED], minlength=classes).tolist()
    return counts


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
        err().print(f"split {name}: {total} actions lie where their videos have no features, and teach nothing: {some}")
