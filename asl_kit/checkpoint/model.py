"""Checkpoints: a trained model with everything needed to use it and to trace where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and its history.

    Only the checkpoint that a run resumes from has `training` (optimizer, schedule, random states).
    """

    weights: Mapping[str, Tensor]
    """Weights of the network."""
    recipe: Recipe
    vocabularies: Mapping[str, tuple[str, ...]]
    """Class names by vocabulary, those of the dataset; the key "" is a vocabulary of unknown name."""
    shape: Shape
    extraction: tuple[ExtractionSpec, ...]
    """How the features of each stream were made."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Annotations, splits, versions, which weights were kept and why."""
    objective: Mapping[str, Tensor] = field(default_factory=dict)
    """State of the training objective: the learned class-level sensitivity."""
    training: dict[str, Any] | None = None

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """The classes that the network learned, in the order of its outputs, by vocabulary."""
        return self.recipe.data.output_classes(self.vocabularies)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of all vocabularies, in the order of the network's outputs."""
        return tuple(name for names in self.outputs.values() for name in names)

    def build(self) -> Localizer:
        """Return the network with its weights, in evaluation mode."""
        network = Localizer(self.recipe, self.shape, len(self.class_names))
        network.load_state_dict(dict(self.weights))
        return network.eval()
