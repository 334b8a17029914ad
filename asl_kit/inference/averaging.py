"""Outputs of several networks averaged at each point, before candidates are chosen and suppressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asl_kit.inference.windows import WholeOutput
from asl_kit.model.network import Localizer


class Member(NamedTuple):
    """One of the networks of a detector."""

    network: Localizer
    """In evaluation mode, on the device that computes."""
    columns: Tensor | None = None
    """(D,), int64: which of the joined features it takes, in this order; None: all."""
    classes: Tensor | None = None
    """(K,), int64: the detector's class of each of its outputs; None: both have the same."""
    weight: float = 1.0
    """Weight of its outputs in the average."""


def average(outputs: Sequence[WholeOutput], members: Sequence[Member], classes: int) -> WholeOutput:
    """Return the weighted mean of what several networks with the same pyramid say about the same videos.

    The logits of a class are averaged over the networks that have it, offsets over all networks, and the instance-level
    sensitivity over those that predict it.

    Parameters
    ----------
    outputs : sequence of WholeOutput
        Of each network. Points that another network's padding does not have are left out.
    members : sequence of Member
        The networks, in the same order.
    classes : int
        K of the result.
    """
    if len(outputs) == 1:
        return outputs[0]
    sizes = [min(level) for level in zip(*(output.points.sizes for output in outputs), strict=True)]
    outputs = [_crop(output, sizes) for output in outputs]
    first = outputs[0].logits
    logits, weights = first.new_zeros(*first.shape[:2], classes), first.new_zeros(classes)
    for output, member in zip(outputs, members, strict=True):
        own = slice(None) if member.classes is None else member.classes.to(first.device)
        logits[..., own] += member.weight * output.logits
        weights[own] += member.weight
    offsets = [(output.offsets, member.weight) for output, member in zip(outputs, members, strict=True)]
    sensitivity = [
        (output.sensitivity, member.weight)
        for output, member in zip(outputs, members, strict=True)
        if output.sensitivity is not None
    ]
    return WholeOutput(
        logits / weights,
        _mean(offsets),
        _mean(sensitivity) if sensitivity else None,
        outputs[0].mask,
        members[0].network.points(sizes, first.device),
    )


def _mean(weighted: Sequence[tuple[Tensor, float]]) -> Tensor:
    total = torch.stack([weight * value for value, weight in weighted]).sum(0)
    return total / sum(weight for _, weight in weighted)


def _crop(output: WholeOutput, sizes: Sequence[int]) -> WholeOutput:
    """Return the output at the first points of each level; `points` are still those of the whole output."""

    def crop(values: Tensor) -> Tensor:
        levels = values.split(output.points.sizes, dim=1)
        return torch.cat([level[:, :size] for level, size in zip(levels, sizes, strict=True)], dim=1)

    sensitivity = None if output.sensitivity is None else crop(output.sensitivity)
    return WholeOutput(crop(output.logits), crop(output.offsets), sensitivity, crop(output.mask), output.points)
