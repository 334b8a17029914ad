"""Backbones with their weights: random, the publisher's, or a file's."""

from __future__ import annotations

import hashlib
import pickle
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import torch

from asl_extract.backbones.spec import Backbone, BackboneSpec, StateDict
from asl_kit.errors import CheckpointError, MissingFileError

RANDOM = "random"
DEFAULT = "default"
_RANDOM_SEED = 0
_NESTED_UNDER = ("model_state", "state_dict", "model")
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class LoadedBackbone:
    """A backbone ready to use.

    Parameters
    ----------
    backbone : Backbone
        In evaluation mode, on the CPU.
    weights : str
        ``random``, the publisher's name of the weights, or the file's name.
    weights_sha256 : str
        `state_sha256` of the weights.
    """

    backbone: Backbone
    weights: str
    weights_sha256: str


def load_backbone(spec: BackboneSpec, *, weights: str = DEFAULT, frame_size: int) -> LoadedBackbone:
    """Build a backbone and give it weights.

    Parameters
    ----------
    spec : BackboneSpec
        Which backbone.
    weights : str
        ``random``: the constructor's own initial values under seed 0, the same on every run;
        ``default``: the publisher's, downloaded by torch.hub or torchvision and kept in torch.hub's
        folder; anything else: path of a file with a state dict.
    frame_size : int
        Height and width of the input, in pixels.

    Raises
    ------
    MissingFileError
        If the weights' file does not exist.
    CheckpointError
        If the weights cannot be downloaded, or do not fit the backbone.
    """
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(_RANDOM_SEED)
        network = spec.build(frame_size)
    name = weights
    if weights == DEFAULT:
        name = spec.published.name
        _fill(network, _download(spec), spec=spec, source=f"published weights {name}")
    elif weights != RANDOM:
        path = Path(weights)
        name = path.name
        _fill(network, _read(path), spec=spec, source=str(path))
    backbone = Backbone(network, two_pathways=spec.two_pathways).eval().requires_grad_(False)
    return LoadedBackbone(backbone, weights=name, weights_sha256=state_sha256(network.state_dict()))


def state_sha256(state: StateDict) -> str:
    """Return the SHA-256 over a state dict's tensors in order of name: name, type, shape and values of each.

    Counters of batches seen in training are left out: they do not change a feature.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):
            continue
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _download(spec: BackboneSpec) -> StateDict:
    try:
        return spec.published.load()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as fault:
        raise CheckpointError(
            f"weights {spec.published.name} of {spec.name} cannot be downloaded: {fault}",
            hint="download them on another machine and pass --weights FILE",
        ) from fault
    except (RuntimeError, OSError, KeyError, EOFError, pickle.UnpicklingError) as fault:
        raise CheckpointError(
            f"weights {spec.published.name} of {spec.name} are damaged: {fault}",
            hint=f"delete the file from {torch.hub.get_dir()}/checkpoints and try again",
        ) from fault


def _read(path: Path) -> StateDict:
    if not path.is_file():
        raise MissingFileError(
            f"{path}: no such weights file", hint="--weights takes default, random, or the path of a state dict"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as fault:
        reason = (str(fault).strip() or "it is empty").splitlines()[0]
        raise CheckpointError(
            f"{path}: not a state dict that can be loaded safely: {reason}",
            hint="save it with torch.save(model.state_dict(), FILE)",
        ) from fault
    for key in _NESTED_UNDER:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not any(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(
            f"{path}: holds no tensors by name",
            hint=f"expected a state dict, by itself or under one of: {', '.join(_NESTED_UNDER)}",
        )
    return {name.removeprefix("module."): value for name, value in state.items()}


def _fill(network: torch.nn.Module, state: StateDict, *, spec: BackboneSpec, source: str) -> None:
    """Load `state` into `network`; the classifier's tensors are left out, all others must fit exactly."""
    own = network.state_dict()
    given = {name: value for name, value in state.items() if not name.startswith(spec.classifier)}
    missing = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in own]
    reshaped = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    faults = [
        f"{title} {_some(names)}"
        for title, names in (("missing:", missing), ("unexpected:", unexpected), ("shape:", reshaped))
        if names
    ]
    if faults:
        raise CheckpointError(f"{source}: these are not weights of {spec.name}; " + "; ".join(faults))
    network.load_state_dict({name: given.get(name, own[name]) for name in own})


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
