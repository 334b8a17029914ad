"""Small untrained networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.schema import Recipe

PARTS: dict[str, dict[str, Any]] = {
    "attention, trident": {"head": "trident", "trident_bins": 5},
    "sgp, offsets": {"encoder": "sgp", "sgp_window": 3},
    "sgp, trident": {"encoder": "sgp", "head": "trident", "trident_bins": 5, "head_kernel": 5, "trident_kernel": 1},
    "maxpool, trident": {"encoder": "maxpool", "stem_blocks": 0, "head": "trident", "trident_bins": 3, "head_width": 8},
}
"""Encoders and heads other than the default ones, as keys of a recipe's `model` table."""


def make_network(
    *,
    feature_dims: Sequence[int] = (5,),
    classes: int = 3,
    sequence_length: int = 2304,
    levels: int = 4,
    sensitivity: dict[str, Any] | None = None,
    **model: Any,
) -> Localizer:
    """Return a network of 16 channels; `model` and `sensitivity` go into the recipe's tables."""
    small = {"width": 16, "attention_heads": 2, "attention_window": 5, "pyramid_levels": levels}
    recipe = Recipe.model_validate({"model": small | model, "sensitivity": sensitivity or {}})
    return Localizer(
        recipe, Shape(feature_dims=tuple(feature_dims), sequence_length=sequence_length, levels=levels), classes
    )
