"""RAFT (Teed and Deng, ECCV 2020), from torchvision: https://docs.pytorch.org/vision/stable/models/raft.html.

The default weights are torchvision's for each size: ``C_T_SKHT_V2`` of raft_large, ``C_T_V2`` of raft_small.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import get_model, get_model_weights

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import PublishedWeights, StateDict
from asl_extract.backbones.weights import load_network

ITERATIONS = 12
"""Refinements of the flow, as in RAFT's training and by torchvision's default. Time grows with their number."""

_PAIRS_PER_BATCH = {"cpu": 2, "cuda": 16}
_SMALLEST, _MULTIPLE = 128, 8  # its correlation pyramid needs 16 x 16 positions, each of 8 x 8 pixels


class Raft:
    """RAFT on the device, in evaluation mode; a `FlowMethod`. Create it with `open_method`.

    Parameters
    ----------
    network : nn.Module
        The network of torchvision.
    description, weights, weights_sha256 : str
        See `FlowMethod`.
    pairs_per_batch : int
        Pairs of frames per forward pass.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        description: str,
        weights: str,
        weights_sha256: str | None,
        pairs_per_batch: int,
    ) -> None:
        self.network = network
        self.description = description
        self.weights = weights
        self.weights_sha256 = weights_sha256
        self.pairs_per_batch = pairs_per_batch

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the motion from each first to its second frame: (N, 3, H, W) from 0 to 255 -> (N, 2, H, W)."""
        height, width = first.shape[2:]
        left, right = _margins(width)
        top, bottom = _margins(height)
        flows = []
        for pair in zip(first.split(self.pairs_per_batch), second.split(self.pairs_per_batch), strict=True):
            # From -1 to 1, like the transforms of the weights; the margin replicates edge pixels, as in RAFT's code.
            inputs = (F.pad(images / 127.5 - 1, (left, right, top, bottom), mode="replicate") for images in pair)
            flows.append(self.network(*inputs, num_flow_updates=ITERATIONS)[-1])
        return torch.cat(flows)[..., top : top + height, left : left + width]


def published_weights(name: str) -> str:
    """Return torchvision's name for the weights that ``default`` loads."""
    published: str = get_model_weights(name).DEFAULT.name
    return published


def open_method(name: str, *, weights: str, device: torch.device) -> Raft:
    """Return ``raft_large`` or ``raft_small`` with weights; see `asl_extract.flow.preparation.get_flow_method`."""
    published: Any = get_model_weights(name).DEFAULT

    def download() -> StateDict:
        state: StateDict = read_published(published.url)
        return state

    network, recorded, digest = load_network(
        lambda: get_model(name, weights=None),
        name=name,
        published=PublishedWeights(name=published.name, load=download),
        weights=weights,
        option="--flow-weights",
    )
    return Raft(
        network.to(device).eval().requires_grad_(False),
        description=f"{name}, {ITERATIONS} iterations",
        weights=recorded,
        weights_sha256=digest,
        pairs_per_batch=_PAIRS_PER_BATCH[device.type],
    )


def _margins(length: int) -> tuple[int, int]:
    """Return the padding before and after that gives a length which RAFT accepts."""
    missing = max(_SMALLEST, -(-length // _MULTIPLE) * _MULTIPLE) - length
    return missing // 2, missing - missing // 2
