"""The checkpoint from which a run resumes, checked against the recipe and the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.base.files import sha256_of
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.errors import CheckpointError
from asl_kit.model.network import Shape
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec
from asl_train.training_data import TrainingData

MAY_DIFFER = {("run", "checkpoint_minutes"), ("run", "loggers")}  # recipe keys that do not affect the result


def load_resumable(path: Path, recipe: Recipe, data: TrainingData, shape: Shape) -> tuple[Checkpoint, dict[str, Any]]:
    """Return a run's last checkpoint and its training state.

    Raises
    ------
    CheckpointError
        If the run used another recipe, or other classes, features or annotations.
    """
    checkpoint = load_checkpoint(path)
    differences = _differences(checkpoint, recipe, data, shape)
    if differences:
        raise CheckpointError(
            f"{path}: this run was started with other settings or data:\n  " + "\n  ".join(differences),
            hint="resume with the same recipe and data, or choose another --out",
        )
    if checkpoint.training is None:
        raise CheckpointError(f"{path}: has no training state to resume from")
    return checkpoint, checkpoint.training


def check_start(checkpoint: Checkpoint, start_from: str | Path | None, path: Path) -> dict[str, Any] | None:
    """Return what the run records of the weights that it started from.

    Raises
    ------
    CheckpointError
        If it started from other weights than `start_from`; if that file is gone, only its name is compared.
    """
    then: dict[str, Any] | None = checkpoint.provenance.get("start_from")
    if start_from is not None:
        now = Path(start_from)
        same = then is not None and (sha256_of(now) == then["sha256"] if now.is_file() else now.name == then["file"])
        if not same:
            began = f"from {then['file']}, another file" if then is not None else "from untrained weights"
            raise CheckpointError(
                f"{path}: --start-from {start_from}: this run started {began}",
                hint="resume it without --start-from, or choose another --out",
            )
    return then


def _differences(checkpoint: Checkpoint, recipe: Recipe, data: TrainingData, shape: Shape) -> list[str]:
    now = recipe.model_dump(mode="json")
    lines = [
        f"recipe {table}.{key}: {value!r} then, {now[table][key]!r} now"
        for table, then in checkpoint.recipe.model_dump(mode="json").items()
        for key, value in then.items()
        if value != now[table][key] and (table, key) not in MAY_DIFFER
    ]
    if list(checkpoint.vocabularies.items()) != list(data.vocabularies.items()):
        lines.append("classes: not the same names in the same order")
    if checkpoint.shape != shape:
        lines.append(f"derived shape: {checkpoint.shape!r} then, {shape!r} now")
    if checkpoint.provenance.get("annotations_sha256") != data.provenance["annotations_sha256"]:
        lines.append("annotations: the file has changed")
    now_sha256 = data.provenance["features_sha256"]
    if checkpoint.provenance.get("features_sha256", now_sha256) != now_sha256:  # earlier versions did not record it
        lines.append("features: other videos, or other values of a video")
    lines.extend(_spec_differences(checkpoint.extraction, data.reader.specs))
    return lines


def _spec_differences(then: Sequence[ExtractionSpec], now: Sequence[ExtractionSpec]) -> list[str]:
    if len(then) != len(now):
        return [f"features: {len(then)} streams then, {len(now)} now"]
    return [f"features: {line}" for old, new in zip(then, now, strict=True) for line in old.differences(new)]
