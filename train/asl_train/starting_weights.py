"""Weights of a trained model as the start of another run: what fits is taken, and the rest is told.

Channels keep their meaning: input layers are taken for the features that they were trained on, class rows by the name
of the class, and pyramid levels from the finest on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from asl_kit.base.console import err, warn
from asl_kit.base.files import sha256_of
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.errors import CheckpointError, first_few
from asl_kit.model.network import Localizer
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import UNNAMED, ExtractionSpec
from asl_train.trainable_model import TrainableModel

_PARTS = {
    "feature_mean": "scale of the features",
    "feature_scale": "scale of the features",
    "streams": "input layer of each stream",
    "projection": "projection",
    "projection_norms": "projection",
    "stem": "blocks at full rate",
    "branch": "blocks of the pyramid",
    "pyramid_norms": "blocks of the pyramid",
    "classification_head": "classification head",
    "localization_head": "localization head",
    "offset_scale": "localization head",
    "classification_sensitivity": "instance-level sensitivity",
    "localization_sensitivity": "instance-level sensitivity",
    "class_sensitivity": "class-level sensitivity",
}
_CLASS_ROWS = tuple(
    f"{head}.last.conv.{kind}"
    for head in ("classification_head", "localization_head.start", "localization_head.end")
    for kind in ("weight", "bias")
)
_CLASS_CURVES = ("class_sensitivity.mu", "class_sensitivity.raw_sigma")
# What makes a dimension of a feature mean something; stride, decoder and the like do not.
_MEANING = ("backbone", "weights_sha256", "feature_dim", "flow_method", "flow_weights_sha256")
_SHAPES = (
    "encoder", "head", "width", "stream_widths", "attention_heads", "sgp_window", "sgp_window_factor", "sgp_mlp_width",
    "projection_layers", "stem_blocks", "head_layers", "head_width", "head_kernel", "trident_bins", "trident_kernel",
)  # fmt: skip


class _Same(NamedTuple):
    """Places along one axis of a tensor that mean the same in the network and in the checkpoint."""

    axis: int
    here: Sequence[int]
    there: Sequence[int]
    why_not: str
    """Of the other places: why they are not taken."""


@dataclass
class _Part:
    """What became of the numbers of one part of the network."""

    taken: int = 0
    new: int = 0
    left_out: int = 0
    reasons: dict[str, None] = field(default_factory=dict)  # in order, each once


class StartingWeights:
    """A checkpoint that a run starts from.

    Parameters
    ----------
    path : Path
        The checkpoint.

    Raises
    ------
    MissingFileError, CheckpointError
        If there is no such file, or it is not a checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint: Checkpoint = load_checkpoint(path)
        self._parts: dict[str, _Part] = {}

    def provenance(self) -> dict[str, Any]:
        """Return what the run's checkpoints record."""
        return {"file": self.path.name, "sha256": sha256_of(self.path)}

    @torch.no_grad()
    def load(
        self, model: TrainableModel, outputs: Mapping[str, Sequence[str]], specs: Sequence[ExtractionSpec]
    ) -> None:
        """Take what fits into an untrained model, and print what was taken and what was not.

        Parameters
        ----------
        model : TrainableModel
            The model; the statistics of its features are set.
        outputs : mapping of str to sequence of str
            Classes of the network's outputs, by vocabulary.
        specs : sequence of ExtractionSpec
            How the features of each stream were made.

        Raises
        ------
        CheckpointError
            If nothing that has been learned fits.
        """
        known, network = self.checkpoint, model.network
        streams = _same_streams(specs, known.extraction)
        classes = _same_classes(outputs, known.outputs)
        levels = range(min(network.levels, known.shape.levels))
        same = dict.fromkeys((*_CLASS_ROWS, *_CLASS_CURVES), classes)
        same["offset_scale"] = _Same(0, levels, levels, _levels_reason(network.levels, known.shape.levels))
        here, there = network.feature_dims, known.shape.feature_dims
        for name in ("feature_mean", "feature_scale"):
            same[name] = _blocks(0, streams, here, there, "features of another network")
        same["projection.0.conv.weight"] = _same_inputs(streams, network, known)

        weights = {_name_here(name, streams): value for name, value in known.weights.items()}
        learned = self._take(network.state_dict(), weights, same)
        curves = {name: value for name, value in known.objective.items() if name in _CLASS_CURVES}
        own = model.objective.state_dict()
        self._take({name: own[name] for name in _CLASS_CURVES}, curves, same)
        shapes = _shape_differences(model.recipe, known.recipe)
        if not learned:
            raise CheckpointError(
                f"--start-from {self.path}: nothing of it fits the network of this run",
                hint=f"the recipe decides the shape: {shapes}" if shapes else None,
            )
        if model.average is not None:
            model.average.network.load_state_dict(network.state_dict())
        self._print(specs, streams, shapes, outputs)

    def _take(self, here: Mapping[str, Tensor], there: Mapping[str, Tensor], same: Mapping[str, _Same]) -> bool:
        """Copy what fits; return whether a matrix of a layer, and not only single values, was among it."""
        matrices = False
        for name, tensor in here.items():
            part = self._part(name)
            source = there.get(name)
            if source is None:
                part.new += tensor.numel()
                part.reasons["the checkpoint lacks it" if name.split(".")[0] != "streams" else "other features"] = None
                continue
            rule = same.get(name)
            taken = _copy_same(tensor, source, rule)
            matrices |= taken > 0 and tensor.ndim > 2
            part.taken += taken
            part.new += tensor.numel() - taken
            part.left_out += source.numel() - taken
            if taken < max(tensor.numel(), source.numel()):
                fits = rule is not None and _shape_without(rule.axis, tensor) == _shape_without(rule.axis, source)
                shapes = f"{tuple(source.shape)} there, {tuple(tensor.shape)} here"
                part.reasons[rule.why_not if rule is not None and fits else shapes] = None
        for name in there.keys() - here.keys():
            part = self._part(name)
            part.left_out += there[name].numel()
            part.reasons["not part of this network"] = None
        return matrices

    def _part(self, name: str) -> _Part:
        return self._parts.setdefault(_PARTS.get(name.split(".")[0], "other"), _Part())

    def _print(
        self,
        specs: Sequence[ExtractionSpec],
        streams: Mapping[int, int],
        shapes: str,
        outputs: Mapping[str, Sequence[str]],
    ) -> None:
        console = err()
        table = Table(title=f"Starting weights from {self.path}")
        table.add_column("part")
        for column in ("taken", "new", "left out"):
            table.add_column(column, justify="right")
        table.add_column("why")
        for name in dict.fromkeys(_PARTS.values()):
            if part := self._parts.get(name):
                counts = (f"{count:,}" if count else "" for count in (part.taken, part.new, part.left_out))
                table.add_row(name, *counts, "; ".join(_shortened(part.reasons)))
        console.print(table)
        for line in _class_lines(outputs, self.checkpoint.outputs):
            console.print(line)
        if shapes:
            console.print(f"model keys that differ: {shapes}")
        for place, spec in enumerate(specs):
            for text in _feature_warnings(place, spec, streams, self.checkpoint.extraction):
                warn(console, f"--start-from {self.path}: {text}")


def _copy_same(tensor: Tensor, source: Tensor, rule: _Same | None) -> int:
    """Copy the places that mean the same into a tensor; return how many numbers were copied."""
    if rule is None:
        if tensor.shape != source.shape:
            return 0
        tensor.copy_(source)
        return tensor.numel()
    if _shape_without(rule.axis, tensor) != _shape_without(rule.axis, source) or not len(rule.here):
        return 0
    here, there = (torch.tensor(list(places), device=tensor.device) for places in (rule.here, rule.there))
    tensor.index_copy_(rule.axis, here, source.to(tensor).index_select(rule.axis, there))
    return tensor.numel() // tensor.shape[rule.axis] * len(here)


def _shape_without(axis: int, tensor: Tensor) -> list[int]:
    return [size for place, size in enumerate(tensor.shape) if place != axis]


def _shortened(reasons: Iterable[str]) -> list[str]:
    reasons = list(reasons)
    return [*reasons[:2], *(["..."] if len(reasons) > 2 else [])]


def _same_streams(here: Sequence[ExtractionSpec], there: Sequence[ExtractionSpec]) -> dict[int, int]:
    """Return for each stream of the run whose features mean the same as one of the checkpoint: the place of both."""
    found: dict[int, int] = {}
    for new, spec in enumerate(here):
        # Streams of unnamed features are told apart by their order alone.
        places = sorted(range(len(there)), key=lambda old: (old != new, old))
        match = next((old for old in places if old not in found.values() and _means_the_same(spec, there[old])), None)
        if match is not None:
            found[new] = match
    return found


def _name_here(name: str, streams: Mapping[int, int]) -> str:
    """Return the name of a weight of the checkpoint in the network, where the streams may have another order."""
    if not name.startswith("streams."):
        return name
    _, stream, rest = name.split(".", 2)
    place = next((new for new, old in streams.items() if old == int(stream)), "none")
    return f"streams.{place}.{rest}"


def _means_the_same(one: ExtractionSpec, other: ExtractionSpec) -> bool:
    named = "" in (one.weights, other.weights) or one.weights == other.weights
    if one.weights_sha256 is not None and one.weights_sha256 == other.weights_sha256:
        named = True  # the same tensors under another name
    return named and all(getattr(one, key) == getattr(other, key) for key in _MEANING)


def _same_classes(here: Mapping[str, Sequence[str]], there: Mapping[str, Sequence[str]]) -> _Same:
    known = {pair: place for place, pair in enumerate(_class_pairs(_renamed(here, there)))}
    places = [(new, known[pair]) for new, pair in enumerate(_class_pairs(here)) if pair in known]
    return _Same(0, [new for new, _ in places], [old for _, old in places], "other classes")


def _class_pairs(vocabularies: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(vocabulary, name) for vocabulary, names in vocabularies.items() for name in names]


def _renamed(here: Mapping[str, Sequence[str]], there: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Return the checkpoint's vocabularies; the only one of each side is the same vocabulary, whatever its name."""
    if len(here) == len(there) == 1:
        return {next(iter(here)): next(iter(there.values()))}
    return there


def _blocks(axis: int, streams: Mapping[int, int], here: Sequence[int], there: Sequence[int], why_not: str) -> _Same:
    """Return the places of the channels of the streams that mean the same, side by side along an axis."""
    pairs = [(new, old) for new, old in streams.items() if here[new] == there[old]]
    places = [
        (sum(here[:new]) + channel, sum(there[:old]) + channel) for new, old in pairs for channel in range(here[new])
    ]
    return _Same(axis, [new for new, _ in places], [old for _, old in places], why_not)


def _same_inputs(streams: Mapping[int, int], network: Localizer, known: Checkpoint) -> _Same:
    """Return which inputs of the first convolution mean the same: those of a stream, or of its input layer."""
    if (len(network.feature_dims) > 1) != (len(known.shape.feature_dims) > 1):
        there, here = len(known.shape.feature_dims), len(network.feature_dims)
        return _Same(1, [], [], f"{there} feature stream{'s' * (there > 1)} there, {here} here")
    if len(network.feature_dims) == 1:
        return _blocks(1, streams, network.feature_dims, known.shape.feature_dims, "features of another network")
    widths = [
        [len(value) for name, value in state.items() if name.startswith("streams.") and name.endswith("conv.weight")]
        for state in (network.state_dict(), known.weights)
    ]
    return _blocks(1, streams, widths[0], widths[1], "other feature streams")


def _levels_reason(here: int, there: int) -> str:
    return f"{there} pyramid levels there, {here} here"


def _shape_differences(here: Recipe, there: Recipe) -> str:
    keys = [key for key in _SHAPES if getattr(here.model, key) != getattr(there.model, key)]
    return ", ".join(f"model.{key} {getattr(there.model, key)} there, {getattr(here.model, key)} here" for key in keys)


def _class_lines(here: Mapping[str, Sequence[str]], there: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each vocabulary: which classes were taken, and which not."""
    known, lines = _renamed(here, there), []
    for vocabulary, names in here.items():
        old = set(known.get(vocabulary, ()))
        groups = {
            "taken": [name for name in names if name in old],
            "new": [name for name in names if name not in old],
            "left out": [name for name in known.get(vocabulary, ()) if name not in set(names)],
        }
        texts = [f"{len(group)} {what}: {first_few(group)}" for what, group in groups.items() if group]
        lines.append(f"classes{f' of {vocabulary}' if len(here) > 1 else ''}: {'; '.join(texts)}")
    return lines


def _feature_warnings(
    place: int, spec: ExtractionSpec, streams: Mapping[int, int], there: Sequence[ExtractionSpec]
) -> list[str]:
    """Return what to know about a stream whose features were not made as those of the checkpoint."""
    which = f"feature stream {place + 1}"
    if place not in streams:
        theirs = Counter(f"{known.backbone} {known.weights or '(weights not known)'}" for known in there)
        return [
            f"{which} was made by {spec.backbone} {spec.weights or '(weights not known)'}, and the checkpoint was"
            f" trained on {' and '.join(theirs)}: its input layers start untrained"
        ]
    known = there[streams[place]]
    texts = []
    if differences := known.differences(spec):
        texts.append(f"{which} was not made as the checkpoint's: {'; '.join(differences)}")
    if spec.is_imported and spec.weights in ("", UNNAMED):
        texts.append(f"{which} was imported without a name, and is taken to be of the same network as the checkpoint's")
    return texts
