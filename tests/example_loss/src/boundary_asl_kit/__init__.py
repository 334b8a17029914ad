"""The negative log-likelihood of the errors of starts and ends under Laplace distributions with learned scales.

The error of a boundary is in strides of its point. How far annotators agree differs between starts and ends; the two
scales adapt to it, and weigh the errors (Kendall and Gal, NeurIPS 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from asl_kit.base.validation import StrictModel
from asl_kit.model.loss_terms import LossContext, LossTerm


class Settings(StrictModel):
    """The keys of the table ``[loss.terms.boundary]``, besides ``weight``."""

    initial_scale: Annotated[float, Field(gt=0, strict=True)] = 1.0
    """Scale of both distributions before training, in strides."""


class Boundary(nn.Module):
    """``|error| / scale + log(2 * scale)``, averaged over the positive points of the batch."""

    def __init__(self, initial_scale: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((2,), math.log(initial_scale)))

    def forward(self, context: LossContext) -> Tensor:
        """Return the loss of this process's videos, divided by the number of positives in all processes."""
        errors = (context.offsets - context.true_offsets).abs()  # (B, P, 2)
        losses = errors * (-self.log_scale).exp() + self.log_scale + math.log(2)
        return (losses.mean(dim=-1) * context.targets.positive).sum() / context.positives


def _make(settings: Settings, classes: Sequence[int]) -> nn.Module:
    return Boundary(settings.initial_scale)  # the same for all classes


TERM = LossTerm(name="boundary", make=_make, settings=Settings)
