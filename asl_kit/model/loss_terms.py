"""Loss terms that other packages add to the objective; see docs/plugins.md.

Legend: B videos, N segments of the video with most segments, P points, V vocabularies, K classes of all vocabularies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asl_kit.base.plugins import (
    entry_names,
    find_entry,
    load_instance,
    name_with_package,
    package_of,
    package_version,
    plugin_faults,
)
from asl_kit.base.similar_names import close_matches
from asl_kit.base.validation import StrictModel, validate
from asl_kit.errors import PluginError, RecipeError
from asl_kit.model.assignment import Targets, Truth
from asl_kit.model.network import Output
from asl_kit.recipes.schema import LossTermRecipe

ENTRY_POINT_GROUP = "asl_kit.losses"
KIND = "loss term"
OWN_NAMES = (
    "classification", "localization", "sensitivity", "video_label", "contrastive", "total",
    "step", "epoch", "group", "gradient_norm", "learning_rate",
)  # fmt: skip
"""Names in the training curve that a loss term cannot have."""


class LossContext(NamedTuple):
    """What the objective knows of a batch: the input of a loss term.

    With several processes, each holds some videos of the batch, possibly none (B = 0).
    """

    output: Output
    """The network's output; its tensors may be bfloat16 or float16."""
    truth: Truth
    targets: Targets
    offsets: Tensor
    """(B, P, 2): what `Output.offsets` says, at least float32. With the trident head, the mean over the classes of a
    point; 0 where it is not positive."""
    true_offsets: Tensor
    """(B, P, 2): `Targets.offsets`; 1 where a point is not positive."""
    weights: Tensor
    """(B, P, V + 1): the weights of the points by action sensitivity, in each vocabulary and for localization."""
    positives: Tensor
    """Scalar: number of positive points of the whole batch, at least 1; the same in all processes."""
    average_positives: Tensor
    """Scalar: its moving average, by which the classification and localization losses are divided; likewise."""


class NoSettings(StrictModel):
    """The settings of a loss term that has no keys but its weight."""


@dataclass(frozen=True)
class LossTerm:
    """A loss term, which a recipe switches on with a table ``[loss.terms.NAME]``.

    The module that `make` returns is called as ``module(context: LossContext) -> Tensor`` in every training step. It
    returns a scalar with a gradient, without the recipe's weight. The scalars and the gradients of all processes are
    added up, and must be those of one process with the whole batch: divide sums over the process's own videos by a
    number that is the same in all processes (`LossContext.positives`, or a count passed through
    `asl_kit.model.collectives.global_sum`).

    Its parameters are trained with those of the network, without weight decay except in convolutions. They and its
    buffers are on the network's device, stay finite, and are saved in the checkpoint. Every parameter has a gradient in
    every step, in every process. Buffers change in the same way in all processes.

    Parameters
    ----------
    name : str
        What recipes and the training curve call it.
    make : callable
        ``make(settings, classes) -> nn.Module``: `settings` is an instance of the class below, `classes` the number of
        classes of each vocabulary (sequence of int).
    settings : type of StrictModel
        The keys of its table, besides ``weight``. Default: none.

    Raises
    ------
    TypeError
        If a value is not as described.
    """

    name: str
    make: Callable[[Any, Sequence[int]], nn.Module]
    settings: type[StrictModel] = NoSettings

    def __post_init__(self) -> None:
        if not callable(self.make):
            raise TypeError(f"make of a LossTerm must be a function, found {self.make!r:.60}")
        if not isinstance(self.settings, type) or not issubclass(self.settings, StrictModel):
            raise TypeError(f"settings of a LossTerm must be a subclass of StrictModel, found {self.settings!r:.60}")
        if "weight" in self.settings.model_fields:
            raise TypeError("settings of a LossTerm must not have the key weight, which every loss term has")


class ChosenTerm(NamedTuple):
    """A loss term with the settings of a recipe."""

    entry: EntryPoint
    term: LossTerm
    settings: StrictModel
    weight: float

    def make(self, classes: Sequence[int]) -> WeightedTerm:
        """Return its module.

        Raises
        ------
        PluginError
            If the package raises an exception, or makes something else.
        """
        with plugin_faults(self.entry, kind=KIND, command="train"):
            module = self.term.make(self.settings, list(classes))
        if not isinstance(module, nn.Module):
            raise PluginError(f"{name_with_package(self.entry, KIND)} must make an nn.Module, found {module!r:.60}")
        for name, value in module.state_dict().items():
            if not isinstance(value, Tensor) or not bool(value.isfinite().all()):
                raise PluginError(
                    f"{name_with_package(self.entry, KIND)} must have finite parameters and buffers,"
                    f" found {name} {value!r:.60}"
                )
        return WeightedTerm(self, module)


class WeightedTerm(nn.Module):
    """The module of a loss term, whose result is checked.

    Parameters
    ----------
    chosen : ChosenTerm
        The term.
    module : nn.Module
        What its package made.
    """

    def __init__(self, chosen: ChosenTerm, module: nn.Module) -> None:
        super().__init__()
        self.name, self.weight = chosen.entry.name, chosen.weight
        self.package = package_version(chosen.entry)
        self.module = module
        self._entry = chosen.entry

    def forward(self, context: LossContext) -> Tensor:
        """Return the loss without its weight.

        Raises
        ------
        PluginError
            If the package raises an exception, or returns no scalar with a gradient on the network's device.
        """
        with plugin_faults(self._entry, kind=KIND, command="train"):
            loss = self.module(context)
        wanted = None
        if not isinstance(loss, Tensor) or loss.dim() or not loss.is_floating_point():
            wanted = "a scalar tensor of floats"
        elif loss.device != context.offsets.device:
            wanted = f"a tensor on {context.offsets.device}"
        elif torch.is_grad_enabled() and not loss.requires_grad:
            wanted = "a tensor with a gradient"
        if wanted is not None:
            raise PluginError(f"{name_with_package(self._entry, KIND)} must return {wanted}, found {_describe(loss)}")
        result: Tensor = loss
        return result


def find_loss_terms(terms: Mapping[str, LossTermRecipe]) -> list[ChosenTerm]:
    """Return the loss terms of a recipe in order of their names.

    Parameters
    ----------
    terms : mapping of str to LossTermRecipe
        The recipe's ``loss.terms``.

    Raises
    ------
    RecipeError
        If no installed package provides a term, or its keys are not what it expects.
    UsageError
        If several packages provide a term, or asl-kit has a loss of that name.
    MissingDependencyError
        If its package cannot be imported, or provides something else.
    """
    chosen = []
    for name, recipe in sorted(terms.items()):
        entry = find_entry(ENTRY_POINT_GROUP, name, kind=KIND, built_in=OWN_NAMES)
        if entry is None:
            names = sorted(entry_names(ENTRY_POINT_GROUP))
            close = close_matches(name, names)
            meant = f"did you mean {close[0]}? " if close else ""
            raise RecipeError(
                f"recipe: loss.terms.{name}: no installed package provides this loss term",
                hint=f"{meant}install the package that provides it; installed loss terms: {', '.join(names) or 'none'}",
            )
        term = load_instance(entry, LossTerm, kind=KIND)
        source = f"recipe: loss.terms.{name} (of the package {package_of(entry)})"
        settings = validate(term.settings, recipe.model_extra or {}, source=source, error=RecipeError)
        chosen.append(ChosenTerm(entry, term, settings, recipe.weight))
    return chosen


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {value.dtype}, on {value.device}"
    return f"{value!r:.60}"
