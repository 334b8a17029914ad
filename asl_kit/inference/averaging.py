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
    sensitivity over those that predict it. Of the trident head, the boundary scores of a class are averaged as its
    logits, and its bins as offsets.

    Parameters
    ----------
    outputs : sequence of WholeOutput
        Of each network; all have the same `reading`. Points that another network's padding does not have are left out.
    members : sequence of Member
        The networks, in the same order.
    classes : int
        K of the result.
    """
    if len(outputs) == 1:
        return outputs[0]
    sizes = [min(level) for level in zip(*(output.points.sizes for output in outputs), strict=True)]
    outputs = [_crop(output, sizes) for output in outputs]
    reading = outputs[0].reading
    # Columns of classes: the logits, and those of the localization head; what follows is of all classes.
    of_classes, of_all = zip(*(_by_class(output, reading.class_columns) for output in outputs), strict=True)
    offsets = [(rest, member.weight) for rest, member in zip(of_all, members, strict=True)]
    logits, *boundaries = [_mean_of_classes(columns, members, classes) for columns in zip(*of_classes, strict=True)]
    sensitivity = [
        (output.sensitivity, member.weight)
        for output, member in zip(outputs, members, strict=True)
        if output.sensitivity is not None
    ]
    return WholeOutput(
        logits,
        torch.cat([*boundaries, _mean(offsets)], dim=2),
        _mean(sensitivity) if sensitivity else None,
        outputs[0].mask,
        members[0].network.points(sizes, logits.device),
        reading,
    )


def _by_class(output: WholeOutput, class_columns: int) -> tuple[list[Tensor], Tensor]:
    """Return the logits and each of the localization head's columns of classes, (B, P, K), and its other columns."""
    classes = output.logits.shape[2]
    *columns, rest = output.offsets.tensor_split([classes * (number + 1) for number in range(class_columns)], dim=2)
    return [output.logits, *columns], rest


def _mean_of_classes(columns: Sequence[Tensor], members: Sequence[Member], classes: int) -> Tensor:
    """Return the weighted mean for each class over the networks that have it: (B, P, K)."""
    total, weights = columns[0].new_zeros(*columns[0].shape[:2], classes), columns[0].new_zeros(classes)
    for own_columns, member in zip(columns, members, strict=True):
        own = slice(None) if member.classes is None else member.classes.to(total.device)
        total[..., own] += member.weight * own_columns
        weights[own] += member.weight
    return total / weights


def _mean(weighted: Sequence[tuple[Tensor, float]]) -> Tensor:
    total = torch.stack([weight * value for value, weight in weighted]).sum(0)
    return total / sum(weight for _, weight in weighted)


def _crop(output: WholeOutput, sizes: Sequence[int]) -> WholeOutput:
    """Return the output at the first points of each level; `points` are still those of the whole output."""

    def crop(values: Tensor) -> Tensor:
        levels = values.split(output.points.sizes, dim=1)
        return torch.cat([level[:, :size] for level, size in zip(levels, sizes, strict=True)], dim=1)

    sensitivity = None if output.sensitivity is None else crop(output.sensitivity)
    return output._replace(
        logits=crop(output.logits), offsets=crop(output.offsets), sensitivity=sensitivity, mask=crop(output.mask)
    )
