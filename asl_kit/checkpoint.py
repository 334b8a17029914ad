"""Checkpoints: a trained model with all that is needed to use it, and to know where it came from."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asl_kit import __version__
from asl_kit.errors import CheckpointError, MissingFileError
from asl_kit.extraction_spec import ExtractionSpec
from asl_kit.files import replacing
from asl_kit.model.network import Localizer
from asl_kit.recipe import Recipe
from asl_kit.strict import check_version, validate

FORMAT = "asl-kit/checkpoint"
VERSION = 1


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


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "asl_kit": __version__,
        "weights": dict(checkpoint.weights),
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        "vocabularies": {name: list(class_names) for name, class_names in checkpoint.vocabularies.items()},
        "shape": {
            "feature_dims": list(checkpoint.shape.feature_dims),
            "sequence_length": checkpoint.shape.sequence_length,
            "levels": checkpoint.shape.levels,
        },
        "extraction": [spec.model_dump(mode="json") for spec in checkpoint.extraction],
        "provenance": checkpoint.provenance,
        "objective": dict(checkpoint.objective),
        "training": checkpoint.training,
    }
    with replacing(path) as temporary:
        torch.save(fields, temporary)


def read_saved(path: Path, *, hint: str, device: str | torch.device = "cpu") -> Any:
    """Read what `torch.save` wrote. Nothing in the file is executed.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        With `hint`, if it is no such file, is damaged, or holds more than tensors and plain values.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError, OSError) as fault:
        if isinstance(fault, OSError) and fault.filename is not None:
            raise  # the file system's own; PyTorch's, of a file cut short, names none
        raise CheckpointError(f"{path}: not a checkpoint, or damaged", hint=hint) from fault


def load_checkpoint(path: Path, *, device: str | torch.device = "cpu") -> Checkpoint:
    """Read a checkpoint. Nothing in the file is executed.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        If it is no checkpoint of asl-kit, or of another format version, or damaged.
    """
    fields = read_saved(path, device=device, hint="`asl-kit train` writes model.ckpt into the folder of its run")
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of asl-kit: it lacks format {FORMAT!r}")
    check_version(
        fields.get("version"),
        VERSION,
        source=str(path),
        what="checkpoint",
        error=CheckpointError,
        hint=f"it was written by asl-kit {fields.get('asl_kit')}; this is {__version__}",
    )
    try:
        return Checkpoint(
            weights=fields["weights"],
            recipe=validate(Recipe, fields["recipe"], source=f"{path}: recipe", error=CheckpointError),
            vocabularies=_vocabularies(fields),
            shape=Shape(
                tuple(fields["shape"]["feature_dims"]), fields["shape"]["sequence_length"], fields["shape"]["levels"]
            ),
            extraction=tuple(
                validate(ExtractionSpec, spec, source=f"{path}: extraction", error=CheckpointError)
                for spec in fields["extraction"]
            ),
            provenance=fields["provenance"],
            objective=fields["objective"],
            training=fields["training"],
        )
    except (KeyError, TypeError, AttributeError) as fault:
        raise CheckpointError(f"{path}: damaged checkpoint: {fault!r}") from fault


def _vocabularies(fields: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    if "vocabularies" not in fields:  # written when a model learned one vocabulary only
        return {fields["provenance"].get("vocabulary") or "": tuple(fields["class_names"])}
    return {name: tuple(class_names) for name, class_names in fields["vocabularies"].items()}
