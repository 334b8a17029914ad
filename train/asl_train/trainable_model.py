"""A network in training: its losses, moving average and optimizer, and one training step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asl_kit.model.collectives import global_sum, rank
from asl_kit.model.network import Localizer
from asl_kit.model.objective import Objective
from asl_kit.recipes.schema import Recipe
from asl_kit.torch_utils.device import autocast
from asl_train.distributed import broadcast_parameters, sum_gradients
from asl_train.optimization import RATE_SHARE, MovingAverage, make_optimizer
from asl_train.sequences import Batch


class TrainableModel:
    """A network with everything that a training step changes.

    Parameters
    ----------
    network : Localizer
        The network, on its device.
    recipe : Recipe
        Recipe of the run.
    classes : sequence of int
        Number of classes of each vocabulary.
    precision : torch.dtype
        bfloat16 and float16 run the network under autocast.
    """

    def __init__(self, network: Localizer, recipe: Recipe, classes: Sequence[int], precision: torch.dtype) -> None:
        self.network = network
        self.device = next(network.parameters()).device
        self.recipe, self.precision = recipe, precision
        self.objective = Objective(recipe, classes).to(self.device)
        self.average = MovingAverage(network, recipe.optimizer.ema_decay) if recipe.optimizer.ema_decay else None
        self.optimizer = make_optimizer(network, self.objective, recipe.optimizer)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == torch.float16)

    def train_step(self, batch: Batch, step: int, rate: float) -> StepValues:
        """Take one training step and return its losses, which a GPU may not have computed yet.

        Parameters
        ----------
        batch : Batch
            The videos of this process.
        step : int
            Step number from 0; step and seed determine all random numbers of the step.
        rate : float
            Learning rate.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group[RATE_SHARE]
        self._seed(step)
        batch = batch.to(self.device)
        with autocast(self.device, self.precision):
            output = self.network(batch.features, batch.mask)
        losses: dict[str, Tensor] = self.objective(output, batch.truth)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(losses["total"]).backward()
        sum_gradients(self.parameters)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.recipe.optimizer.gradient_clip or math.inf)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.network)
        values = global_sum(torch.stack([loss.detach().float() for loss in losses.values()]))
        return StepValues([*losses, "gradient_norm"], torch.cat([values, norm.detach().float()[None]]))

    def _seed(self, step: int) -> None:
        # Drop path draws for the whole batch, from the same seed in every process. Dropout and noise draw only for the
        # videos of a process, and two processes must not draw the same values.
        own = rank() if self.recipe.model.dropout or self.recipe.model.input_noise else 0
        words = np.random.SeedSequence([self.recipe.run.seed, step, own]).generate_state(2)
        torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)

    def broadcast(self) -> None:
        """Copy all weights of the first process to the others."""
        broadcast_parameters(self.network)
        broadcast_parameters(self.objective)
        if self.average is not None:
            broadcast_parameters(self.average.network)

    def final_weights(self) -> tuple[dict[str, Tensor], str]:
        """Return the weights to keep if there is no validation split, and their name."""
        if self.average is not None:
            return self.average.network.state_dict(), "averaged weights"
        return self.network.state_dict(), "weights"

    def state(self) -> dict[str, Any]:
        """Return the state to resume from, without that of the objective."""
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any], objective: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned, in any number of processes and in any precision.

        Raises
        ------
        Exception
            KeyError, TypeError, ValueError, RuntimeError and the like, if the state is damaged.
        """
        self.network.load_state_dict(state["network"])
        self.objective.load_state_dict(dict(objective))
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        # The settings of the groups come from the recipe; only the moment estimates are restored.
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state["optimizer"]["state"]})
        for parameter, values in self.optimizer.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                if values[name].shape != parameter.shape or not bool(values[name].isfinite().all()):
                    raise ValueError(f"{name} of the optimizer does not fit its weights")
            if not 0 <= float(values["step"]) < math.inf:
                raise ValueError(f"step of the optimizer is {values['step']}")
        if state["scaler"]:  # empty if the run was in another precision than float16 so far
            self.scaler.load_state_dict(state["scaler"])


class StepValues:
    """The losses of a step, copied from the device without making training wait.

    Parameters
    ----------
    names : list of str
        Names of the values.
    values : Tensor
        (len(names),), on any device.
    """

    def __init__(self, names: list[str], values: Tensor) -> None:
        self._names = names
        self._arrived: torch.cuda.Event | None = None
        self._values = values
        if values.is_cuda:
            self._values = torch.empty(values.shape, pin_memory=True).copy_(values, non_blocking=True)
            self._arrived = torch.cuda.current_stream(values.device).record_event()

    def read(self) -> dict[str, float]:
        """Wait for the values and return them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return dict(zip(self._names, self._values.tolist(), strict=True))
