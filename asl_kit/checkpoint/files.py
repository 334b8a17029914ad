"""Checkpoint files: reading with checks, and atomic writing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from asl_kit import __version__
from asl_kit.base.files import atomic_write
from asl_kit.base.validation import StrictModel, check_version, validate
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.errors import CheckpointError, MissingFileError
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec
from asl_kit.torch_utils.saved_tensors import find_unsound, load_saved

FORMAT = "asl-kit/checkpoint"
VERSION = 1


class _Fields(StrictModel):
    """The contents of a file, besides its format and version."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="ignore")

    weights: dict[str, Tensor]
    recipe: Recipe
    vocabularies: Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)]
    shape: Shape
    extraction: tuple[ExtractionSpec, ...]
    provenance: dict[str, Any]
    objective: dict[str, Tensor]
    training: dict[str, Any] | None


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint atomically.

    Raises
    ------
    OutputError
        If the file system refuses.
    """
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "asl_kit": __version__,
        "weights": dict(checkpoint.weights),
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        "vocabularies": {name: list(class_names) for name, class_names in checkpoint.vocabularies.items()},
        "shape": checkpoint.shape.model_dump(mode="json"),
        "extraction": [spec.model_dump(mode="json") for spec in checkpoint.extraction],
        "provenance": checkpoint.provenance,
        "objective": dict(checkpoint.objective),
        "training": checkpoint.training,
    }
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(fields, file)
        except RuntimeError as fault:
            if isinstance(fault.__context__, OSError):  # such as a full disk, which PyTorch's error does not mention
                raise fault.__context__ from None
            raise


def read_saved(path: Path, *, hint: str, device: str | torch.device = "cpu") -> Any:
    """Read a file written by `torch.save`. Nothing in the file is executed.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        With `hint`, if it is not such a file, is damaged, or holds more than tensors and plain values.
    """
    try:
        return load_saved(path, device=device)
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except Exception as fault:  # PyTorch may raise anything for a damaged file
        if isinstance(fault, OSError) and fault.filename is not None:
            raise  # an error of the file system; that of PyTorch for a truncated file names no file
        what = "not a checkpoint, or damaged"
        if isinstance(fault, pickle.UnpicklingError) and "GLOBAL" in str(fault):  # it names a function or class
            what = "holds more than tensors and plain values, which is never unpickled: it can run any program"
        raise CheckpointError(f"{path}: {what}", hint=hint) from fault


def load_checkpoint(path: Path, *, device: str | torch.device = "cpu") -> Checkpoint:
    """Read a checkpoint. Nothing in the file is executed.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        If it is not a checkpoint of asl-kit, has another format version, or is damaged.
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
    if "class_names" in fields and "vocabularies" not in fields:  # written before models had several vocabularies
        provenance = fields.get("provenance")
        vocabulary = provenance.get("vocabulary") if isinstance(provenance, dict) else None
        fields = fields | {"vocabularies": {vocabulary or "": fields["class_names"]}}
    read = validate(_Fields, fields, source=f"{path}: damaged checkpoint", error=CheckpointError)
    checkpoint = Checkpoint(**dict(read))
    _check_weights(checkpoint, path)
    return checkpoint


def _check_weights(checkpoint: Checkpoint, path: Path) -> None:
    """Refuse weights that do not match the network of the recipe, before memory is allocated for it."""
    dims = tuple(spec.feature_dim for spec in checkpoint.extraction)
    if dims != checkpoint.shape.feature_dims:
        raise CheckpointError(
            f"{path}: damaged checkpoint: features of {dims} values, a network for {checkpoint.shape.feature_dims}"
        )
    for what, tensors in (("weights", checkpoint.weights), ("objective", checkpoint.objective)):
        if (name := find_unsound(tensors)) is not None:
            raise CheckpointError(f"{path}: damaged checkpoint: {what}: {name} is not a tensor of finite numbers")
    try:
        with torch.device("meta"):
            network = Localizer(checkpoint.recipe, checkpoint.shape, len(checkpoint.class_names))
        network.load_state_dict(dict(checkpoint.weights), assign=True)
    except (RuntimeError, ValueError) as fault:
        reason = " ".join(str(fault).split())
        raise CheckpointError(f"{path}: damaged checkpoint: the weights do not fit the recipe: {reason}") from fault
