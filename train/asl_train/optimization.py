"""Optimizer, learning rate and moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from asl_kit.model.network import Localizer
from asl_kit.model.sensitivity import ClassSensitivity
from asl_kit.recipes.schema import OptimizerRecipe

RATE_SHARE = "learning rate share"
"""Key of a parameter group: its learning rate, as a share of the schedule's."""


def make_optimizer(network: Localizer, objective: nn.Module, recipe: OptimizerRecipe) -> torch.optim.AdamW:
    """Return AdamW; weight decay applies to the weights of convolutions, not to biases, norms or scales.

    To the Gaussians of the sensitivity it applies as the authors released them only.
    """
    modules = nn.ModuleList([network, objective])
    decaying = {id(module.weight) for module in modules.modules() if isinstance(module, nn.Conv1d)}
    curves = set[nn.Parameter]()
    for module in modules.modules():
        if isinstance(module, ClassSensitivity):
            curves |= set(module.parameters())
            decaying |= {id(parameter) for parameter in module.parameters() if module.as_released}
    parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    shares = {id(parameter): recipe.encoder_learning_rate_share for parameter in network.encoder_parameters()}
    shares |= {id(parameter): recipe.curve_learning_rate_factor for parameter in curves}
    groups = [
        {
            "params": [p for p in parameters if shares.get(id(p), 1.0) == share and (id(p) in decaying) == decays],
            "weight_decay": recipe.weight_decay if decays else 0.0,
            RATE_SHARE: share,
        }
        for share in dict.fromkeys((1.0, *shares.values()))
        for decays in (True, False)
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)  # one operation, not ten a parameter


def learning_rate(step: int, *, steps_per_epoch: int, recipe: OptimizerRecipe) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, then cosine decay to the final share.

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


class MovingAverage:
    """An exponential moving average of a network's weights, with warm-up.

    Update t uses a decay of at most ``(1 + t) / (10 + t)``: in a short run, a
    fixed decay would keep much of the random initial weights (ActionFormer issue 103).

    Parameters
    ----------
    network : Localizer
        Network whose weights are averaged; the average starts as a copy of it.
    decay : float
        In [0, 1).
    """

    def __init__(self, network: Localizer, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: Localizer) -> None:
        """Add the weights after a step to the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.updates else 0.0
        # A few kernels for all tensors; torch's AveragedModel synchronises with the GPU for each tensor.
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the state to resume from."""
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.updates = int(state["updates"])
