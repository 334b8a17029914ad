"""The detection losses and that of a video's classes, in float32, or in float64 if the input is float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-8
END_TOLERANCE = 0.05  # of a segment's length; with the whole length, the mean of both ends is best in the middle


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32 if its precision is lower: losses are never computed in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def focal_loss(logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss of every entry.

    Parameters
    ----------
    logits, targets : Tensor
        Same shape; targets in [0, 1].
    alpha : float
        Weight of positive targets; negative ones have ``1 - alpha``.
    gamma : float
        Exponent that reduces the loss of easy entries.

    References
    ----------
    Lin et al.: Focal Loss for Dense Object Detection, ICCV 2017, equation 5.
    """
    logits = at_least_float32(logits)
    targets = targets.to(logits.dtype)
    probability = logits.sigmoid()
    correct = probability * targets + (1 - probability) * (1 - targets)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (alpha * targets + (1 - alpha) * (1 - targets)) * (1 - correct) ** gamma * entropy


def temporal_iou(offsets: Tensor, other: Tensor) -> Tensor:
    """Temporal IoU of segments given by their distances to a common inner point.

    Parameters
    ----------
    offsets, other : Tensor
        (..., 2): distance to start and to end, 0 or more.
    """
    intersection = torch.minimum(offsets, other).sum(-1)
    union = offsets.sum(-1) + other.sum(-1) - intersection
    return intersection / union.clamp(min=TINY)


def end_quality(offsets: Tensor, targets: Tensor) -> Tensor:
    """How well the start and the end of a segment are each predicted: ``exp(-error / (0.05 * true length))``.

    Parameters
    ----------
    offsets, targets : Tensor
        (..., 2): distance to start and to end, 0 or more.

    Returns
    -------
    Tensor
        (..., 2), in [0, 1]; 1: without error.
    """
    tolerance = END_TOLERANCE * targets.sum(-1, keepdim=True)
    return torch.exp(-(offsets - targets).abs() / tolerance.clamp(min=TINY))


def diou_loss(offsets: Tensor, targets: Tensor) -> Tensor:
    """One-dimensional distance-IoU loss of every pair of segments around a common point.

    ``1 - IoU + (distance of the centres / length of the hull) ** 2``.

    Parameters
    ----------
    offsets, targets : Tensor
        (..., 2): distance to start and to end, 0 or more.

    References
    ----------
    Zheng et al.: Distance-IoU Loss, AAAI 2020, equation 7, in one dimension.
    """
    offsets = at_least_float32(offsets)
    targets = targets.to(offsets.dtype)
    shift = (offsets[..., 1] - offsets[..., 0] - targets[..., 1] + targets[..., 0]) / 2
    hull = torch.maximum(offsets, targets).sum(-1)
    return 1 - temporal_iou(offsets, targets) + (shift / hull.clamp(min=TINY)) ** 2


def video_label_loss(logits: Tensor, mask: Tensor, present: Tensor) -> Tensor:
    """Binary cross-entropy between the classes that a video has and the best probability of each class in it.

    The probabilities of a point are the softmax of its logits over the classes. A point of padding counts as one that
    knows nothing, with ``1 / K`` for every class, as in the source.

    Parameters
    ----------
    logits : Tensor
        (B, P, K): of the classes of one vocabulary.
    mask : Tensor
        (B, P), bool: points that belong to the video.
    present : Tensor
        (B, K): 1 for the classes that the video has.

    Returns
    -------
    Tensor
        (B, K).

    References
    ----------
    The authors' Ego4D code (JonnyS1226/ego4d_asl at 4ffbce5), al_loss in libs/modeling/meta_archs.py.
    """
    logits = at_least_float32(logits).masked_fill(~mask[..., None], 0)
    tiny = torch.finfo(logits.dtype).eps  # a certain error costs much, but not infinitely much
    best = logits.softmax(dim=2).amax(dim=1).clamp(tiny, 1 - tiny)
    return -torch.where(present > 0, best, 1 - best).log()
