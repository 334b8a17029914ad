"""Assignment of ground-truth segments to the points of the pyramid.

The rules are ActionFormer's: centre sampling, one regression range per level,
the shortest of several candidates. All videos of a batch are assigned together.

Legend: B videos, N segments of the video with most segments, P points, V vocabularies trained together, K classes of
all vocabularies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl_kit.model.network import Points

EQUAL_LENGTH_TOLERANCE = 1e-3  # in features; ActionFormer's
UNLABELLED = -1  # label of a segment that has none in a vocabulary


class Truth(NamedTuple):
    """Segments of a batch, padded to N per video."""

    segments: Tensor
    """(B, N, 2): start and end, in features of level 0."""
    labels: Tensor
    """(B, N, V), int64 in [0, K): one of each vocabulary, or `UNLABELLED`; 0 in the padding."""
    mask: Tensor
    """(B, N), False in the padding."""

    @classmethod
    def collate(cls, segments: Sequence[Tensor], labels: Sequence[Tensor], device: torch.device | str) -> Truth:
        """Pad the segments (each (n, 2)) and labels (each (n, V)) of B videos to one N of at least 1."""
        count = max(1, *(len(video) for video in segments))
        return cls(
            torch.stack([F.pad(video, (0, 0, 0, count - len(video))) for video in segments]).to(device),
            torch.stack([F.pad(video, (0, 0, 0, count - len(video))) for video in labels]).to(device),
            torch.stack([torch.arange(count) < len(video) for video in segments]).to(device),
        )


class Targets(NamedTuple):
    """The targets of the network at every point."""

    classes: Tensor
    """(B, P, K): 1 for the classes of the point; several if segments of equal length coincide."""
    offsets: Tensor
    """(B, P, 2): distances to start and end in strides of the point; undefined where not positive."""
    positive: Tensor
    """(B, P), bool: whether the point is assigned to a segment."""
    segment: Tensor
    """(B, P), int64: index of that segment in N; undefined where not positive."""
    labels: Tensor
    """(B, P, V), int64: labels of that segment; undefined where not positive."""


@torch.no_grad()
def assign(
    points: Points,
    mask: Tensor,
    truth: Truth,
    *,
    classes: int,
    center_radius: float | Literal["segment"],
    levels: Literal["by_length", "all"] = "by_length",
) -> Targets:
    """Assign every point to a segment, or to none.

    A point is a candidate for a segment if it lies strictly inside it and within
    `center_radius` strides of its centre, and if its larger distance to the
    ends is in the regression range of the point. The shortest candidate segment
    is assigned; segments of the same length add their classes, and the labels that
    it lacks in a vocabulary.

    Parameters
    ----------
    points : Points
        Points of the network's output.
    mask : Tensor
        (B, P), bool: points that belong to the video.
    truth : Truth
        Ground truth of the batch.
    classes : int
        K.
    center_radius : float or "segment"
        In strides; "segment": any.
    levels : {"by_length", "all"}
        "all": whatever the regression range of the point.

    References
    ----------
    Zhang, Wu, Li: ActionFormer, ECCV 2022, section 3.4.
    """
    position = points.position[None, :, None]  # (1, P, 1)
    start, end = truth.segments[:, None, :, 0], truth.segments[:, None, :, 1]  # (B, 1, N)
    distance = torch.stack((position - start, end - position), dim=-1)  # (B, P, N, 2)

    to_start, to_end = distance.unbind(-1)
    if center_radius != "segment":
        center, radius = (start + end) / 2, points.stride[None, :, None] * center_radius
        to_start = position - torch.maximum(center - radius, start)
        to_end = torch.minimum(center + radius, end) - position
    candidate = (torch.minimum(to_start, to_end) > 0) & truth.mask[:, None]
    if levels == "by_length":
        farthest = distance.amax(-1)
        candidate &= (farthest >= points.shortest[None, :, None]) & (farthest <= points.longest[None, :, None])

    length = (end - start).expand_as(candidate).masked_fill(~candidate, math.inf)  # (B, P, N)
    shortest, segment = length.min(dim=2)
    as_short = (length <= shortest[..., None] + EQUAL_LENGTH_TOLERANCE) & candidate
    one_hot = length.new_zeros(*truth.mask.shape, 1 + classes)  # the first column is for unlabelled segments
    one_hot = one_hot.scatter_(2, truth.labels + 1, 1.0)[..., 1:]  # (B, N, K)
    class_targets = (as_short.to(length.dtype) @ one_hot).clamp_(max=1)
    offsets = distance.gather(2, segment[..., None, None].expand(-1, -1, 1, 2)).squeeze(2)
    positive = shortest.isfinite() & mask
    vocabularies = truth.labels.shape[2]
    labels = truth.labels.gather(1, segment[..., None].expand(-1, -1, vocabularies))
    if vocabularies > 1:  # with one vocabulary, every segment has a label
        others = torch.where(as_short[..., None], truth.labels[:, None], UNLABELLED).amax(2)
        labels = torch.where(labels == UNLABELLED, others, labels)
    return Targets(class_targets, offsets / points.stride[:, None], positive, segment, labels)
