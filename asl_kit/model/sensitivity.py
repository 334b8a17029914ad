"""The action sensitivity evaluator: how much each point matters for classifying and localizing an action.

Source: Shao et al., Action Sensitivity Learning for Temporal Action
Localization, ICCV 2023, section 3.2. The authors' Ego4D code (JonnyS1226/ego4d_asl
at 4ffbce5) has another class level: the mode "released". Constants that could not be
checked against the printed paper are recipe keys.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl_kit.model.assignment import UNLABELLED

Mode = Literal["paper", "released", "normalized", "quality"]

SMALLEST_SIGMA = 0.05  # of a segment's length; keeps the Gaussians from collapsing to a point
COLLAPSED_SIGMA = 2 * SMALLEST_SIGMA  # a narrower curve is close to 0 almost everywhere


def relative_position(position: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return u: -1/2 at the start of the segment, 0 at its centre, 1/2 at its end."""
    return (position - (start + end) / 2) / (end - start).clamp(min=1e-6)


class ClassSensitivity(nn.Module):
    """Class-level sensitivity: learnable Gaussians over the relative position in a segment.

    ``p_cls = exp(-(u - mu)^2 / (2 sigma^2))`` starts in the middle (mu 0);
    ``p_loc`` is the mean of two such curves that start at the ends (mu -1/2
    and 1/2). Every sigma starts at 1 and does not fall below `SMALLEST_SIGMA`.

    Parameters
    ----------
    classes : int
        K, of all vocabularies.
    as_released : bool
        Learn sigma itself, not its inverse softplus, and let the optimizer's weight decay act on mu and sigma, as in
        the authors' Ego4D code.
    """

    def __init__(self, classes: int, *, as_released: bool = False) -> None:
        super().__init__()
        self.as_released = as_released
        self.mu = nn.Parameter(torch.tensor([0.0, -0.5, 0.5]).repeat(classes, 1))
        raw = 1.0 if as_released else math.log(math.expm1(1.0 - SMALLEST_SIGMA))  # sigma = 1
        self.raw_sigma = nn.Parameter(torch.full((classes, 3), raw))

    @property
    def sigma(self) -> Tensor:
        """Widths of the curves, (K, 3): classification, start, end."""
        if self.as_released:
            return self.raw_sigma.clamp(min=SMALLEST_SIGMA)
        return F.softplus(self.raw_sigma) + SMALLEST_SIGMA

    @torch.no_grad()
    def widths(self) -> dict[str, float]:
        """Return the mean sigma of each curve over the classes, and the share of collapsed curves.

        With the modes paper and released, collapsing curves reduce the loss, because they reduce its weights.
        """
        sigma = self.sigma
        means = dict(zip(("classification", "start", "end"), sigma.mean(0).tolist(), strict=True))
        collapsed = (sigma < COLLAPSED_SIGMA).double().mean().item()
        return {f"mean sigma of {name}": value for name, value in means.items()} | {"collapsed curves": collapsed}

    def forward(self, u: Tensor, labels: Tensor) -> Tensor:
        """Return p_cls of the class in each vocabulary, and p_loc as the mean over these classes.

        Parameters
        ----------
        u : Tensor
            (...): relative positions.
        labels : Tensor
            (..., V), int64: class in each vocabulary, or `UNLABELLED`.

        Returns
        -------
        Tensor
            (..., V + 1), in (0, 1]: p_cls of each vocabulary (undefined if unlabelled), p_loc.
        """
        p_cls, p_ends = self.curves(u, labels)
        return torch.cat((p_cls, p_ends.mean(-1, keepdim=True)), dim=-1)

    def curves(self, u: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return p_cls, (..., V), and the curves of start and end, (..., 2), whose mean is p_loc: see `forward`."""
        known = labels != UNLABELLED
        labels = labels.clamp(min=0)
        curves = torch.exp(-((u[..., None, None] - self.mu[labels]) ** 2) / (2 * self.sigma[labels] ** 2))
        p_ends = labelled_mean(curves[..., 1:].mT, known[..., None, :]).squeeze(-1)
        return curves[..., 0], p_ends


def labelled_mean(values: Tensor, known: Tensor) -> Tensor:
    """Return the mean of (..., V) values over the labelled vocabularies: (..., 1)."""
    return (values * known).sum(-1, keepdim=True) / known.sum(-1, keepdim=True).clamp(min=1)


def by_vocabulary(instance_level: Tensor, vocabularies: int) -> Tensor:
    """Return instance-level sensitivities (..., 2) as (..., V + 1): all vocabularies share q_cls."""
    q_cls, q_loc = instance_level.split(1, dim=-1)
    return torch.cat((q_cls.expand(*q_cls.shape[:-1], vocabularies), q_loc), dim=-1)


def combine(class_level: Tensor | None, instance_level: Tensor | None) -> Tensor | None:
    """Return h = p + q if both are given, otherwise the given one, or None.

    The instance level is detached: only its own loss trains it.
    """
    instance_level = instance_level.detach() if instance_level is not None else None
    if class_level is None or instance_level is None:
        return class_level if instance_level is None else instance_level
    return class_level + instance_level


def loss_weights(h: Tensor, positive: Tensor, segment: Tensor, *, segments: int, mode: Mode) -> Tensor:
    """Return weights of the losses from the sensitivities of positive points; other points have weight 1.

    Parameters
    ----------
    h : Tensor
        (B, P, V + 1): combined sensitivity for classification in each vocabulary, and for localization.
    positive : Tensor
        (B, P), bool.
    segment : Tensor
        (B, P), int64 in [0, segments): the segment assigned to a positive point.
    segments : int
        N.
    mode : {"paper", "released", "normalized", "quality"}
        paper, released: h itself; the losses that the Gaussians weight also train them, and shrinking Gaussians
        lower these losses.
        normalized: h divided by its mean over the segment's positives, so the weight of a segment is constant.
        quality: like normalized but detached; `quality_loss` trains the Gaussians, like the instance level.
    """
    if mode == "quality":
        h = h.detach()
    if mode in ("normalized", "quality"):
        index = segment[..., None].expand_as(h)
        present = positive[..., None].to(h.dtype)
        total = h.new_zeros(len(h), segments, h.shape[2]).scatter_add(1, index, h * present)
        count = h.new_zeros(len(h), segments, h.shape[2]).scatter_add(1, index, present.expand_as(h))
        h = h / (total / count.clamp(min=1)).gather(1, index).clamp(min=1e-6)
    return torch.where(positive[..., None], h, 1.0)


def quality_loss(sensitivity: Tensor, quality: Tensor, positive: Tensor, count: Tensor) -> Tensor:
    """L_s: mean squared error between a sensitivity and the detached quality of the prediction.

    Parameters
    ----------
    sensitivity : Tensor
        (B, P, 2): q for classification and localization; or (B, P, V + 1): p, for classification in each vocabulary;
        or (B, P, V + 2): with the curves of start and end in place of p_loc.
    quality : Tensor
        Same shape: predicted probability of the true class; temporal IoU of predicted and true segment, or
        `asl_kit.model.losses.end_quality`.
    positive : Tensor
        (B, P), bool.
    count : Tensor
        Scalar, at least 1: number of positives in the whole batch, over all processes.

    Returns
    -------
    Tensor
        Scalar: the sum of the errors, each a mean over the positives; 0 if there are none.
    """
    error = (sensitivity - quality.detach()) ** 2 * positive[..., None].to(sensitivity.dtype)
    return error.sum() / count
