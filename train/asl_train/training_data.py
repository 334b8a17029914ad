"""The data of a training run: annotations joined with feature stores, and checked."""

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
from asl_kit.dataset.default_splits import training_split, validation_split
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import Split, load_split
from asl_kit.detections.table import JOINT
from asl_kit.errors import AnnotationError, TrainingError, first_few
from asl_kit.manifests.files import default_tiou_thresholds, find_manifest
from asl_kit.model.assignment import UNLABELLED
from asl_kit.recipes.schema import Recipe
from asl_kit.remote.address import Address


@dataclass(frozen=True)
class TrainingData:
    """The splits of a run with their features."""

    reader: FeatureReader
    train: Split
    validation: Split | None
    vocabularies: Mapping[str, tuple[str, ...]]
    """Class names by vocabulary, for the vocabularies that the model is trained on."""
    outputs: Mapping[str, tuple[str, ...]]
    """Classes that the network learns, by vocabulary: see `asl_kit.recipes.schema.DataRecipe.output_classes`."""
    tiou_thresholds: tuple[float, ...]
    provenance: dict[str, Any]


def load_training_data(annotations: Path, features: Sequence[Path | Address], recipe: Recipe) -> TrainingData:
    """Join annotations with stores into the splits of a run.

    Raises
    ------
    AnnotationError
        If the annotations lack the vocabulary, or have several and the recipe names none.
    TrainingError
        If the training split has no action, or no action within the features of its video.
    """
    annotated = read_annotations(annotations)
    reader = FeatureReader(features, recipe.data)
    vocabularies = {name: tuple(annotated.classes(name)) for name in _vocabularies(annotated, recipe.data.vocabulary)}
    if len(vocabularies) > 1:
        _check_class_names(annotations, vocabularies)
    train_name = training_split(annotated, recipe.data.train_split)
    validation_name = validation_split(annotated, recipe.data.validation_split, train_name)
    train = load_split(annotated, train_name, reader, vocabularies)
    if not any(len(item.labels) for item in train.items):
        raise TrainingError(
            f"{annotations}: no video of split {train_name!r} that has features has an action",
            hint="training needs segments: check the annotations with `asl-kit annotations stats`",
        )
    _check_segments(annotations, train, train_name)
    validation = None
    if validation_name is not None:
        validation = load_split(annotated, validation_name, reader, vocabularies)
    for split, name in ((train, train_name), (validation, validation_name)):
        if split is not None and split.without_features:
            missing = split.without_features
            err().print(f"split {name}: {len(missing)} videos without features are left out: {first_few(missing)}")
    if validation is not None:
        trained_on = {item.video_id for item in train.items}
        if shared := sum(item.video_id in trained_on for item in validation.items):
            err().print(
                f"warning: {shared} videos of validation split {validation_name} are trained on: its score says little"
                " of new videos"
            )
    outputs = recipe.data.output_classes(vocabularies)
    if recipe.data.one_class:
        _explain_one_class(recipe)
        train, validation = train.as_one_class(), validation and validation.as_one_class()
    provenance = {
        "asl_kit": __version__,
        "torch": str(torch.__version__),
        "dataset": annotated.dataset,
        "annotations_sha256": sha256_of(annotations),
        "features_sha256": reader.sha256(
            item.video_id for split in (train, validation) if split is not None for item in split.items
        ),
        "train_split": train_name,
        "train_videos": len(train.items),
        "train_segments": _segments_of_classes(train, sum(map(len, outputs.values()))),
        "validation_split": validation_name,
        "batch_size": recipe.optimizer.batch_size,
        "learning_rate": recipe.optimizer.learning_rate,
    }
    thresholds = default_tiou_thresholds(annotated.dataset)
    return TrainingData(reader, train, validation, vocabularies, outputs, thresholds, provenance)


def _explain_one_class(recipe: Recipe) -> None:
    """Say what one class means for the parts of ASL that are defined by class."""
    parts = ["one class: every segment is an action; scores of whole videos name the classes: eval --video-scores"]
    if recipe.sensitivity.class_level:
        parts.append("the class level learns one curve for all actions")
    if recipe.contrastive.enabled and recipe.contrastive.weight:
        parts.append("the contrastive loss contrasts actions with the background only")
    err().print("; ".join(parts))


def _vocabularies(annotations: AnnotationSet, wanted: str | tuple[str, ...] | None) -> list[str]:
    """Return the vocabularies to train on: those that the recipe names, or the only one."""
    if isinstance(wanted, tuple):
        return [annotations.vocabulary(name) for name in wanted]
    if wanted is None and len(annotations.vocabularies) > 1:
        manifest = find_manifest(annotations.dataset)
        order = list(manifest.vocabularies) if manifest is not None else []
        names = sorted(annotations.vocabularies, key=lambda name: order.index(name) if name in order else len(order))
        raise AnnotationError(
            f"dataset {annotations.dataset}: several vocabularies ({', '.join(names)})",
            hint=f"train on one, --set data.vocabulary={names[0]}, or on several together:"
            f" --set 'data.vocabulary={json.dumps(names)}'",
        )
    return [annotations.vocabulary(wanted)]


def _check_class_names(annotations: Path, vocabularies: Mapping[str, Sequence[str]]) -> None:
    """Refuse names that contain the character that joins the classes of several vocabularies."""
    for vocabulary, class_names in vocabularies.items():
        for name in (vocabulary, *class_names):
            if JOINT in name:
                raise AnnotationError(
                    f"{annotations}: vocabulary {vocabulary!r}: {name!r} contains {JOINT!r}, which joins the classes of"
                    " vocabularies that are trained together",
                    hint="rename it, or train on each vocabulary separately: --set data.vocabulary=NAME",
                )


def _segments_of_classes(split: Split, classes: int) -> list[int]:
    labels = np.concatenate([item.labels.flatten() for item in split.items])
    counts: list[int] = np.bincount(labels[labels != UNLABELLED], minlength=classes).tolist()
    return counts


def _check_segments(annotations: Path, train: Split, name: str) -> None:
    """Report actions outside the features of their videos; refuse if all of them are."""
    outside = {}
    for item in train.items:
        index = item.grid.to_index(item.segments_s)
        # A feature represents half a step on either side of its centre.
        count = int(((index[:, 1] <= -0.5) | (index[:, 0] >= item.grid.length - 0.5)).sum())
        if count:
            outside[item.video_id] = count
    some = first_few(list(outside))
    total = sum(outside.values())
    if total == sum(len(item.labels) for item in train.items):
        raise TrainingError(
            f"{annotations}: no action of split {name!r} is within the features of its video: {some}",
            hint="compare the annotated times with those that `asl-kit store list` prints: frame rate, stride?",
        )
    if outside:
        err().print(f"split {name}: {total} actions are outside the features of their videos and are ignored: {some}")
