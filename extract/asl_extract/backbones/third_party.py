"""Backbones of other packages, whose networks are checked: what they do wrong is one message that names them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from asl_extract.backbones.spec import BackboneSpec
from asl_kit.base.plugins import load_instance, name_with_package, plugin_faults
from asl_kit.errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KIND = "backbone"


def load_third_party(entry: EntryPoint) -> BackboneSpec:
    """Return the backbone of an entry point.

    Its network raises `PluginError` if it raises an exception itself, or returns something else than a feature of
    `feature_dim` values, or a map of them, for each clip.

    Raises
    ------
    MissingDependencyError
        If the package cannot be imported, or provides something else.
    """
    spec = load_instance(entry, BackboneSpec, kind=KIND)
    return replace(spec, build=partial(_build, spec, entry))


def _build(spec: BackboneSpec, entry: EntryPoint, frame_size: int) -> nn.Module:
    with plugin_faults(entry, kind=KIND, command="extract"):
        network = spec.build(frame_size)
    if not isinstance(network, nn.Module):
        raise PluginError(f"{name_with_package(entry, KIND)} must build an nn.Module, found {network!r:.60}")
    # Not in another module: the names in the state dict, and with them the weights' checksum, would change.
    network.forward = partial(_forward, network.forward, entry, spec.feature_dim)
    return network


def _forward(forward: Any, entry: EntryPoint, feature_dim: int, clips: Any) -> Tensor:
    with plugin_faults(entry, kind=KIND, command="extract", passing=(torch.OutOfMemoryError,)):
        features = forward(clips)
    count = len(clips[-1] if isinstance(clips, list) else clips)
    if (
        not isinstance(features, Tensor)
        or not features.is_floating_point()
        or tuple(features.shape[:2]) != (count, feature_dim)
    ):
        raise PluginError(
            f"{name_with_package(entry, KIND)} must return a tensor of floats of shape ({count}, {feature_dim}) or "
            f"({count}, {feature_dim}, ...) for {count} clips, found {_describe(features)}"
        )
    return features


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"one of shape {tuple(value.shape)}, {value.dtype}"
    return f"{value!r:.60}"
