"""Checkpoints: a trained model with all that is needed to use it, and to know where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from asl_kit.model.network import Localizer
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec


@dataclass(frozen=True)
class Shape:
    """What was derived from the training data: it decides the network beside the recipe."""

    feature_dims: tuple[int, ...]
    """D of each feature stream."""
    sequence_length: int
    """Features in a training sequence."""
    levels: int
    """Pyramid levels."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and its history.

    `training` (optimizer, schedule, random states) is there only in the
    checkpoint that a run resumes from.
    """

    weights: Mapping[str, Tensor]
    """Of the network, as chosen for use."""
    recipe: Recipe
    vocabularies: Mapping[str, tuple[str, ...]]
    """Class names in the order of the network's outputs, by vocabulary; named "" where it is not known which."""
    shape: Shape
    extraction: tuple[ExtractionSpec, ...]
    """How the features of each stream were made."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Annotations, splits, versions, which weights were kept and why."""
    objective: Mapping[str, Tensor] = field(default_factory=dict)
    """Learned class-level sensitivity."""
    training: dict[str, Any] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of all vocabularies, in the order of the network's outputs."""
        return tuple(name for names in self.vocabularies.values() for name in names)

    def build(self) -> Localizer:
        """Return the network with its weights, in evaluation mode."""
        network = build_network(self.recipe, self.shape, len(self.class_names))
        network.load_state_dict(dict(self.weights))
        return network.eval()


def build_network(recipe: Recipe, shape: Shape, classes: int) -> Localizer:
    """Return an untrained network for a recipe and the data's shape."""
    model = recipe.model
    return Localizer(
        feature_dims=shape.feature_dims,
        classes=classes,
        width=model.width,
        stream_widths=model.stream_widths,
        heads=model.attention_heads,
        window=model.attention_window,
        projection_layers=model.projection_layers,
        stem_blocks=model.stem_blocks,
        levels=shape.levels,
        head_layers=model.head_layers,
        first_range=model.first_regression_range,
        range_overlap=model.regression_overlap,
        max_length=shape.sequence_length,
        position_embedding=model.position_embedding,
        padding=model.padding,
        dropout=model.dropout,
        drop_path=model.drop_path,
        class_prior=model.class_prior,
        instance_branches=recipe.sensitivity.instance_level,
        detached_branches=recipe.sensitivity.detached,
    )
