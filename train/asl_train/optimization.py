"""Optimizer, learning rate and moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from asl_kit.recipe import OptimizerRecipe


def make_optimizer(modules: nn.Module, recipe: OptimizerRecipe) -> torch.optim.AdamW:
    """Return AdamW; only the weights of convolutions decay, not biases, norms, scales or Gaussians."""
    decaying = {id(module.weight) for module in modules.modules() if isinstance(module, nn.Conv1d)}
    parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if id(p) not in decaying], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def learning_rate(step: int, *, steps_per_epoch: int, recipe: OptimizerRecipe) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, then a cosine to the final share.

    Examples
    --------
    >>> recipe = OptimizerRecipe(learning_rate=1.0, epochs=3, warmup_epochs=1)
    >>> [round(learning_rate(s, steps_per_epoch=2, recipe=recipe), 2) for s in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    warmup = min(recipe.warmup_epochs, recipe.epochs) * steps_per_epoch
    if step < warmup:
        return recipe.learning_rate * (step + 1) / max(warmup, 1)
    progress = (step - warmup) / max(recipe.epochs * steps_per_epoch - warmup, 1)
    final = recipe.final_learning_rate_share
    return recipe.learning_rate * (final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2)


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of the weights, with warm-up.

    Update t uses a decay of at most ``(1 + t) / (10 + t)``: on a short run a
    fixed decay would keep the random weights of the start (ActionFormer issue 103).
    """

    def update(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        done = int(count)
        return average.lerp(current, 1 - min(decay, (1 + done) / (10 + done)))

    return AveragedModel(network, avg_fn=update)
