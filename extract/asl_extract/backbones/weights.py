"""Loads the weights of backbones: random, the publisher's, or from a file."""

from __future__ import annotations

import hashlib
import http.client
import pickle
import urllib.error
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asl_extract.backbones.published import allow_options
from asl_extract.backbones.spec import AUTOCAST_LAYERS, Backbone, BackboneSpec, PublishedWeights, StateDict
from asl_kit.errors import AslKitError, CheckpointError, MissingDependencyError, MissingFileError, UsageError
from asl_kit.torch_utils.saved_tensors import find_unsound, load_saved

RANDOM = "random"
DEFAULT = "default"
_RANDOM_SEED = 0
_NESTED_UNDER = ("model_state", "state_dict", "model", "module", "trunk")
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class LoadedBackbone:
    """A backbone ready to use.

    Parameters
    ----------
    backbone : Backbone
        In evaluation mode, on the CPU.
    weights : str
        ``random``, the publisher's name for the weights, or the name of the file.
    weights_sha256 : str
        `state_sha256` of the weights.
    """

    backbone: Backbone
    weights: str
    weights_sha256: str


def load_backbone(
    spec: BackboneSpec, *, weights: str = DEFAULT, frame_size: int, precision: torch.dtype = torch.float32
) -> LoadedBackbone:
    """Build a backbone and give it weights.

    Parameters
    ----------
    spec : BackboneSpec
        Which backbone.
    weights : str
        ``random``: the initial values of the constructor with seed 0, the same in every run; ``default``, or their
        name in the extraction spec: the publisher's, downloaded to torch.hub's folder; anything else: the path of a
        file with a state dict, by torch.save or in safetensors.
    frame_size : int
        Height and width of the input, in pixels.
    precision : torch.dtype
        Type of the computation: large backbones are to be used under autocast with it.

    Raises
    ------
    MissingFileError
        If the weights' file does not exist.
    UsageError
        If the default weights are wanted, and the backbone has none.
    CheckpointError
        If the weights cannot be downloaded, or do not fit the backbone.
    """

    def adapt(state: StateDict) -> StateDict:
        state = spec.convert(state) if spec.convert else state
        return {name: value for name, value in state.items() if not name.startswith(spec.classifier)}

    if weights == DEFAULT and spec.published is None and spec.weights_page:
        raise UsageError(
            f"the weights of {spec.name} cannot be downloaded automatically",
            hint=f"get them from {spec.weights_page} and give --weights FILE, or --weights random to try it",
        )
    network, name, digest = load_network(
        lambda: spec.build(frame_size),
        name=spec.name,
        published=spec.published,
        weights=weights,
        adapt=adapt,
        large=precision if spec.large else None,
    )
    backbone = Backbone(network, two_pathways=spec.two_pathways).eval().requires_grad_(False)
    return LoadedBackbone(backbone, weights=name, weights_sha256=digest)


def load_network(
    build: Callable[[], nn.Module],
    *,
    name: str,
    published: PublishedWeights | None,
    weights: str = DEFAULT,
    adapt: Callable[[StateDict], StateDict] | None = None,
    large: torch.dtype | None = None,
    option: str = "--weights",
) -> tuple[nn.Module, str, str]:
    """Build any network and give it weights; return it with the weights' name and `state_sha256`.

    Parameters
    ----------
    build : callable
        Creates the network with the initial weights of the constructor.
    name : str
        Name of the network, for messages.
    published : PublishedWeights or None
        Weights that ``default`` loads.
    weights : str
        ``random``, ``default`` or a file, as in `load_backbone`.
    adapt : callable, optional
        Turns the tensors of a checkpoint into those of the network.
    large : torch.dtype, optional
        Given for a large network (see `BackboneSpec`): the type of its computation. Weights of convolutions and linear
        layers are kept in it, to which autocast would convert them each time.
    option : str
        Command-line option that sets `weights`, for hints.

    Raises
    ------
    MissingFileError, UsageError, CheckpointError
        As in `load_backbone`.
    """
    if published is None and weights == DEFAULT:
        raise UsageError(f"{name} has no published weights", hint=f"give {option} FILE, or {option} random to try it")
    recorded, state = weights, None
    if published and (weights == DEFAULT or (weights == published.name and not Path(weights).exists())):
        recorded = published.name
        state, source = _download(published, of=name, option=option), f"published weights {recorded}"
    elif weights != RANDOM:
        path = Path(weights)
        recorded = path.name
        state, source = _read(path, option=option), str(path)
    on_meta = large is not None and state is not None
    # The caller's random state does not change.
    with torch.random.fork_rng(devices=[]), torch.device("meta") if on_meta else nullcontext():
        torch.manual_seed(_RANDOM_SEED)
        network = build()
    if state is not None:
        state = _fit(network, adapt(state) if adapt else state, of=name, source=source)
    return network, recorded, _assign(network, state or network.state_dict(), large=large)


def state_sha256(state: StateDict) -> str:
    """Return the SHA-256 over a state dict's tensors in order of name: name, type, shape and values of each.

    Batch counters of batch norm are left out: they do not affect features.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        _add(digest, name, state[name])
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, tensor: Tensor) -> None:
    if not name.endswith("num_batches_tracked"):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())


def _download(published: PublishedWeights, *, of: str, option: str) -> StateDict:
    try:
        return published.load()
    except AslKitError:
        raise
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as fault:
        raise CheckpointError(
            f"weights {published.name} of {of} cannot be downloaded: {fault}",
            hint=f"download them on another machine and pass {option} FILE",
        ) from fault
    except OSError as fault:
        raise CheckpointError(
            f"weights {published.name} of {of} cannot be read or stored: {fault}",
            hint=f"free some space in {torch.hub.get_dir()}, or pass {option} FILE",
        ) from fault
    except Exception as fault:  # PyTorch may raise anything for damaged files
        raise CheckpointError(
            f"weights {published.name} of {of} are damaged: {_reason(fault)}",
            hint=f"delete the file from {torch.hub.get_dir()}/checkpoints and try again",
        ) from fault


def _reason(fault: Exception) -> str:
    if isinstance(fault, pickle.UnpicklingError):
        return "it is truncated, or holds more than tensors, which is never unpickled: it can run any program"
    return (str(fault).strip() or "it is empty").splitlines()[0]


def _read(path: Path, *, option: str) -> StateDict:
    if not path.is_file():
        raise MissingFileError(
            f"{path}: no such weights file", hint=f"{option} takes default, random, or the path of a state dict"
        )
    try:
        state: Any
        if path.suffix == ".safetensors":
            state = _read_safetensors(path)
        else:
            with allow_options():
                state = load_saved(path, mmap=True)
    except MissingDependencyError:
        raise
    except Exception as fault:  # as in _download
        raise CheckpointError(
            f"{path}: not a state dict that can be loaded safely: {_reason(fault)}",
            hint="save it with torch.save(model.state_dict(), FILE)",
        ) from fault
    for key in _NESTED_UNDER:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not any(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(
            f"{path}: contains no named tensors",
            hint=f"expected a state dict, by itself or under one of: {', '.join(_NESTED_UNDER)}",
        )
    if (unsound := find_unsound(state)) is not None:
        raise CheckpointError(f"{path}: {unsound} is not a tensor of finite numbers")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _read_safetensors(path: Path) -> StateDict:
    try:
        from safetensors.torch import load_file
    except ImportError as fault:
        raise MissingDependencyError(
            f"{path}: reading it needs safetensors: {fault}", hint="pip install 'asl-kit[hf]'"
        ) from fault
    state: StateDict = load_file(path)
    return state


def _fit(network: nn.Module, state: StateDict, *, of: str, source: str) -> StateDict:
    """Return the tensors of `state` that `network` has; names and shapes must match exactly."""
    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    reshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    faults = [
        f"{title} {_some(names)}"
        for title, names in (("missing:", missing), ("unexpected:", unexpected), ("shape:", reshaped))
        if names
    ]
    if faults:
        raise CheckpointError(f"{source}: these are not weights of {of}; " + "; ".join(faults))
    return {name: state.get(name, own[name]) for name in own}


def _assign(network: nn.Module, state: StateDict, *, large: torch.dtype | None) -> str:
    """Give a network its tensors, and return their `state_sha256` in the types that the network was built with."""
    if large is None:
        network.load_state_dict(state)
        return state_sha256(network.state_dict())
    own, lowered = network.state_dict(), _weights_under_autocast(network)
    digest, kept = hashlib.sha256(), {}
    for name in sorted(state):
        value = state[name].to(own[name].dtype)
        _add(digest, name, value)
        # A copy, because `state` may lie in a file, which may change.
        kept[name] = value.to(large if name in lowered else value.dtype, copy=True)
    network.load_state_dict(kept, assign=True)
    return digest.hexdigest()


def _weights_under_autocast(network: nn.Module) -> set[str]:
    """Return the names of the parameters of `AUTOCAST_LAYERS`."""
    layers = [name for name, module in network.named_modules() if isinstance(module, AUTOCAST_LAYERS)]
    return {f"{layer}.{parameter}" for layer in layers for parameter in ("weight", "bias")}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
