"""Videos of like length run through the network together: one video is too little work for each operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from asl_kit.inference.windows import WholeOutput
from asl_kit.model.network import Localizer
from asl_kit.torch_utils.device import autocast

ALIKE = 7 / 8
"""Padded length of a batch's shortest video, at least, as a fraction of that of its longest."""


def plan_batches(lengths: Sequence[int], networks: Sequence[Localizer], most: int) -> Iterator[list[int]]:
    """Group videos that can be run together without a change of their outputs, longest first.

    Parameters
    ----------
    lengths : sequence of int
        Features of each video.
    networks : sequence of Localizer
        Decide to what a video is padded, and whether its outputs depend on that.
    most : int
        Features of all videos of a batch with their padding; a longer video is a batch of its own. With the features
        of one window, a batch takes no more memory than a window of a long video.

    Yields
    ------
    list of int
        Indices of the videos of a batch.
    """
    # Positions are stretched to the padded length of long videos.
    depends_on_padding = any(network.padding == "full" or network.position.shape[1] for network in networks)
    alike = 1.0 if depends_on_padding else ALIKE
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        padded = max(network.padded_length(lengths[index]) for network in networks)
        if batch and (padded < alike * longest or (len(batch) + 1) * longest > most):
            yield batch
            batch = []
        if not batch:
            longest = padded
        batch.append(index)
    if batch:
        yield batch


@torch.inference_mode()
def run_together(network: Localizer, videos: Sequence[Tensor], *, precision: torch.dtype) -> WholeOutput:
    """Return the output of a network for several videos, of which none is longer than a window.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    videos : sequence of Tensor
        (T, D) float32 of each video: see `plan_batches`.
    precision : torch.dtype
        bfloat16 or float16 run the network under autocast.
    """
    device = next(network.parameters()).device
    lengths = torch.tensor([len(video) for video in videos])
    padded = network.padded_length(int(lengths.max()))
    features = torch.zeros(len(videos), padded, videos[0].shape[1])
    for row, video in zip(features, videos, strict=True):
        row[: len(video)] = video
    mask = torch.arange(padded) < lengths[:, None]
    with autocast(device, precision):
        output = network(features.to(device), mask.to(device))
    sensitivity = None if output.sensitivity is None else output.sensitivity.float()
    return WholeOutput(
        output.logits.float(), output.offsets.float(), sensitivity, output.mask, output.points, output.reading
    )
