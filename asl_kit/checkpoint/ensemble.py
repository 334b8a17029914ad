"""Several checkpoints used as one model: what they have in common, checked when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from asl_kit.base.validation import check_weights
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.errors import CheckpointError, SpecConflictError, first_few
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec


@dataclass(frozen=True)
class Ensemble:
    """Trained models whose outputs are averaged at each point of one time grid; often only one.

    The first decides how detections are made: its recipe's `inference` table.
    """

    paths: tuple[Path, ...]
    checkpoints: tuple[Checkpoint, ...]
    weights: tuple[float, ...] = (1.0,)
    """Of each checkpoint, in the average."""

    @property
    def source(self) -> str:
        """The files, for messages."""
        return ", ".join(map(str, self.paths))

    @property
    def recipe(self) -> Recipe:
        """The recipe of the first checkpoint."""
        return self.checkpoints[0].recipe

    @property
    def extraction(self) -> tuple[ExtractionSpec, ...]:
        """How the feature streams are made that the models take, each once, in the order of the checkpoints."""
        return self._streams[0]

    @property
    def streams(self) -> tuple[tuple[int, ...], ...]:
        """Of each checkpoint: which of `extraction` it takes, in its order."""
        return self._streams[1]

    @cached_property
    def _streams(self) -> tuple[tuple[ExtractionSpec, ...], tuple[tuple[int, ...], ...]]:
        specs: list[ExtractionSpec] = []
        taken: list[tuple[int, ...]] = []
        for checkpoint in self.checkpoints:
            own: list[int] = []
            for spec in checkpoint.extraction:
                # Two streams of one model may have equal specs, such as imported features without a name.
                place = next((i for i, one in enumerate(specs) if one == spec and i not in own), len(specs))
                if place == len(specs):
                    specs.append(spec)
                own.append(place)
            taken.append(tuple(own))
        return tuple(specs), tuple(taken)

    @cached_property
    def vocabularies(self) -> dict[str, tuple[str, ...]]:
        """The vocabularies of all checkpoints; classes in the order of the first that has the vocabulary."""
        found: dict[str, tuple[str, ...]] = {}
        for checkpoint in self.checkpoints:
            for name, class_names in checkpoint.vocabularies.items():
                found.setdefault(name, class_names)
        return found

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """The classes that the networks learned, by vocabulary."""
        return self.recipe.data.output_classes(self.vocabularies)

    def named(self, vocabulary: str) -> Ensemble:
        """Return the models with this name for a vocabulary whose name they do not know."""
        return replace(self, checkpoints=tuple(_with_name(checkpoint, vocabulary) for checkpoint in self.checkpoints))


def load_ensemble(paths: Sequence[str | Path], weights: Sequence[float] | None = None) -> Ensemble:
    """Read checkpoints whose outputs are to be averaged.

    Parameters
    ----------
    paths : sequence of paths
        Checkpoints: of the same classes, or of other vocabularies of the same dataset (verbs and nouns).
    weights : sequence of float, optional
        Weight of each in the average. Default: equal.

    Raises
    ------
    MissingFileError, CheckpointError
        If a file cannot be read, or a vocabulary has other classes than in the first checkpoint that has it.
    SpecConflictError
        If the models do not have the same grid: steps of features, resizing, pyramid levels, localization head.
    UsageError
        If weights are not positive numbers, one for each checkpoint.
    """
    chosen = check_weights(weights, len(paths), "checkpoints")
    checkpoints = [load_checkpoint(Path(path)) for path in paths]
    first = checkpoints[0]
    for path, checkpoint in zip(paths[1:], checkpoints[1:], strict=True):
        differences = [
            f"{name}: {ours} against {theirs}"
            for (name, ours), theirs in zip(_grid_facts(first).items(), _grid_facts(checkpoint).values(), strict=True)
            if ours != theirs
        ]
        if differences:
            raise SpecConflictError(
                f"{path}: not on the same grid as {paths[0]}:\n  " + "\n  ".join(differences),
                hint="outputs can be averaged at each point only on one grid; `asl-kit fuse` joins finished detections",
            )
    ensemble = Ensemble(tuple(map(Path, paths)), tuple(checkpoints), tuple(chosen))
    names = [name for name in ensemble.vocabularies if name]
    if len(names) == 1:
        ensemble = ensemble.named(names[0])
    for path, checkpoint in zip(paths, ensemble.checkpoints, strict=True):
        for name, class_names in checkpoint.outputs.items():
            _check_classes(ensemble.outputs[name], class_names, f"{path}: vocabulary {name!r}" if name else path)
    return ensemble


def _with_name(checkpoint: Checkpoint, vocabulary: str) -> Checkpoint:
    names = {name or vocabulary: class_names for name, class_names in checkpoint.vocabularies.items()}
    return replace(checkpoint, vocabularies=names)


def _grid_facts(checkpoint: Checkpoint) -> dict[str, object]:
    """Return what decides where in time the points of a model lie, and what they mean."""
    spec, data, model = checkpoint.extraction[0], checkpoint.recipe.data, checkpoint.recipe.model
    return {
        "fps": spec.fps or "each video's own",
        "window_frames": spec.window_frames,
        "stride_frames": spec.stride_frames,
        "data.resize_length": data.resize_length,
        "data.time_scale": data.time_scale,
        "data.one_class": data.one_class,
        "pyramid levels": checkpoint.shape.levels,
        "model.head": model.head + (f" of {model.trident_bins} bins" if model.head == "trident" else ""),
    }


def _check_classes(known: Sequence[str], found: Sequence[str], what: str | Path) -> None:
    if set(known) != set(found):
        other = [name for name in found if name not in known]
        missing = [name for name in known if name not in found]
        lines = [f"only {who}: {first_few(names)}" for who, names in (("here", other), ("there", missing)) if names]
        raise CheckpointError(
            f"{what}: other classes than in the first checkpoint; " + "; ".join(lines),
            hint="`asl-kit fuse` joins the detections of models with different classes",
        )
