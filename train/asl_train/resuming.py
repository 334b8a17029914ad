"""Whether a run may go on from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint, Shape
from asl_kit.errors import CheckpointError
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec
from asl_train.inputs import TrainingData

CHANGES_NOTHING = {("run", "checkpoint_minutes")}  # keys that may differ when a run goes on


def load_resumable(path: Path, recipe: Recipe, data: TrainingData, shape: Shape) -> tuple[Checkpoint, dict[str, Any]]:
    """Return a run's last checkpoint and its training state.

    Raises
    ------
    CheckpointError
        If it belongs to another recipe, other classes, features or annotations.
    """
    checkpoint = load_checkpoint(path)
    differences = _differences(checkpoint, recipe, data, shape)
    if differences:
        raise CheckpointError(
            f"{path}: this run was started with something else:\n  " + "\n  ".join(differences),
            hint="resume with the same recipe and data, or choose another --out",
        )
    if checkpoint.training is None:
        raise CheckpointError(f"{path}: holds no training state to resume from")
    return checkpoint, checkpoint.training


def _differences(checkpoint: Checkpoint, recipe: Recipe, data: TrainingData, shape: Shape) -> list[str]:
    now = recipe.model_dump(mode="json")
    lines = [
        f"recipe {table}.{key}: {value!r} then, {now[table][key]!r} now"
        for table, then in checkpoint.recipe.model_dump(mode="json").items()
        for key, value in then.items()
        if value != now[table][key] and (table, key) not in CHANGES_NOTHING
    ]
    if list(checkpoint.vocabularies.items()) != list(data.vocabularies.items()):
        lines.append("classes: not the same names in the same order")
    if checkpoint.shape != shape:
        lines.append(f"derived shape: {checkpoint.shape} then, {shape} now")
    if checkpoint.provenance.get("annotations_sha256") != data.provenance["annotations_sha256"]:
        lines.append("annotations: the file has changed")
    lines.extend(_spec_differences(checkpoint.extraction, data.reader.specs))
    return lines


def _spec_differences(then: Sequence[ExtractionSpec], now: Sequence[ExtractionSpec]) -> list[str]:
    if len(then) != len(now):
        return [f"features: {len(then)} streams then, {len(now)} now"]
    return [f"features: {line}" for old, new in zip(then, now, strict=True) for line in old.differences(new)]
