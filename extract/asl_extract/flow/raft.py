"""RAFT (Teed and Deng, ECCV 2020), from torchvision: https://docs.pytorch.org/vision/stable/models/raft.html.

The default weights are torchvision's for each size: ``C_T_SKHT_V2`` of raft_large, ``C_T_V2`` of raft_small.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import PublishedWeights, StateDict
from asl_extract.backbones.weights import load_network
from asl_extract.device_ranges import ranges_on

ITERATIONS = 12
"""Refinements of the flow, as in RAFT's training and by torchvision's default. Time grows with their number."""

_FRAMES_PER_BATCH = {"cpu": 4, "cuda": 32}
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
    frames_per_batch, pairs_per_batch : int
        Frames that are encoded together, about, and pairs of frames whose flow is refined together.
    """

    computes_on_host = False

    def __init__(
        self,
        network: Any,
        *,
        description: str,
        weights: str,
        weights_sha256: str | None,
        frames_per_batch: int,
        pairs_per_batch: int,
    ) -> None:
        self._encode = network.feature_encoder
        self._encoded = network.feature_encoder = _Encoded()
        self.network = network
        self.description = description
        self.weights = weights
        self.weights_sha256 = weights_sha256
        self.frames_per_batch = frames_per_batch
        self.pairs_per_batch = pairs_per_batch

    def __call__(self, frames: Tensor) -> Tensor:
        """Return the motion from each frame to the next: (N + 1, 3, H, W) from 0 to 255 -> (N, 2, H, W)."""
        height, width = frames.shape[2:]
        left, right = _margins(width)
        top, bottom = _margins(height)
        # From -1 to 1, like the transforms of the weights; the margin replicates edge pixels, as in RAFT's code.
        inputs = F.pad(frames / 127.5 - 1, (left, right, top, bottom), mode="replicate")
        flows = []
        with ranges_on(frames.device):
            # Never one frame alone: on a CPU its features would differ in the last bits.
            batches = inputs.tensor_split(max(1, len(inputs) // self.frames_per_batch))
            features = torch.cat([self._encode(batch) for batch in batches])
            for start in range(0, len(frames) - 1, self.pairs_per_batch):
                stop = min(start + self.pairs_per_batch, len(frames) - 1)
                first, second = slice(start, stop), slice(start + 1, stop + 1)
                self._encoded.features = torch.cat([features[first], features[second]])
                flows.append(self.network(inputs[first], inputs[second], num_flow_updates=ITERATIONS)[-1])
        return torch.cat(flows)[..., top : top + height, left : left + width]


class _Encoded(nn.Module):
    """In the place of the network's encoder, which would encode most frames twice: as a first and a second one."""

    features: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return `features`, those of the images."""
        return self.features


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
        frames_per_batch=_FRAMES_PER_BATCH[device.type],
        pairs_per_batch=_PAIRS_PER_BATCH[device.type],
    )


def _margins(length: int) -> tuple[int, int]:
    """Return the padding before and after that gives a length which RAFT accepts."""
    missing = max(_SMALLEST, -(-length // _MULTIPLE) * _MULTIPLE) - length
    return missing // 2, missing - missing // 2
