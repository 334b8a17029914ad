"""Make tests/reference/training_step.npz: what small networks compute and learn from one batch.

Made at commit 79d7571, where every layer masked its own output and every branch drew its own drop path:
``python tests/reference/scripts/make_training_step.py`` in a checkout of that commit. Later versions compute the
same with fewer operations. The values of a case are the outputs at the valid points, the losses, and the gradient of
every parameter of network and objective, all in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asl_kit.model.assignment import Truth
from asl_kit.model.network import Localizer, Shape
from asl_kit.model.objective import Objective
from asl_kit.recipes.schema import Recipe

SMALL = {"width": 8, "attention_heads": 2, "attention_window": 5, "pyramid_levels": 3, "drop_path": 0.4}
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "off": {"sensitivity": {"class_level": False, "instance_level": False}},
    "as published": {
        "model": {"attention_window": 0, "position_embedding": True, "padding": "full"},
        "sensitivity": {"mode": "paper", "detached": False},
        "contrastive": {"enabled": True},
    },
    "levels": {
        "model": {"attention_window": (7, 0, 1), "stem_blocks": 1, "regression_overlap": 2.0},
        "sensitivity": {"mode": "normalized"},
        "loss": {"label_smoothing": 0.1, "focal_gamma": 1.5},
    },
}
DIMS, VOCABULARIES, LENGTHS = (3, 2), (3, 2), (45, 20)
SEGMENTS = [[[2.0, 9.5], [5.0, 7.5], [11.2, 40.0]], [[3.0, 8.0]]]
LABELS = [[[0, 3], [2, -1], [1, 4]], [[-1, 3]]]


def compute(tables: dict[str, Any]) -> dict[str, Tensor]:
    """Return the values of a case."""
    recipe = Recipe.model_validate(tables | {"model": SMALL | tables.get("model", {})})
    network = Localizer(recipe, Shape(feature_dims=DIMS, sequence_length=48, levels=3), sum(VOCABULARIES))
    objective = Objective(recipe, VOCABULARIES)
    parts = nn.ModuleDict({"network": network, "objective": objective}).train()
    random = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.from_numpy(random.normal(0, 0.3, tuple(parameter.shape)).astype(np.float32)) - parameter
    longest = network.padded_length(max(LENGTHS))
    features = torch.from_numpy(random.normal(size=(len(LENGTHS), longest, sum(DIMS))).astype(np.float32))
    mask = torch.arange(longest) < torch.tensor(LENGTHS)[:, None]
    truth = Truth.collate([torch.tensor(s) for s in SEGMENTS], [torch.tensor(s) for s in LABELS], "cpu")
    torch.manual_seed(0)  # of drop path
    output = network(features, mask)
    losses = objective(output, truth)
    losses["total"].backward()
    values = {name: getattr(output, name) for name in ("logits", "offsets", "sensitivity")}
    return (
        {name: value[output.mask] for name, value in values.items() if value is not None}
        | {f"loss {name}": loss for name, loss in losses.items()}
        | {f"gradient {name}": p.grad for name, p in parts.named_parameters() if p.grad is not None}
    )


if __name__ == "__main__":
    arrays = {f"{case}: {name}": v.detach().numpy() for case in CASES for name, v in compute(CASES[case]).items()}
    np.savez_compressed(Path(__file__).parents[1] / "training_step.npz", **arrays)
