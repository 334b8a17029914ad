"""The encoders of a recipe's `model.encoder`, each in a module of its own."""

from __future__ import annotations

from asl_kit.model.encoders.attention import attention_encoder
from asl_kit.model.encoders.contract import Encoder
from asl_kit.model.encoders.maxpool import maxpool_encoder
from asl_kit.model.encoders.sgp import sgp_encoder
from asl_kit.recipes.schema import ModelRecipe

__all__ = ["Encoder", "make_encoder"]

_ENCODERS = {"attention": attention_encoder, "sgp": sgp_encoder, "maxpool": maxpool_encoder}


def make_encoder(model: ModelRecipe, levels: int) -> Encoder:
    """Return the encoder that a recipe names, with this number of pyramid levels."""
    return _ENCODERS[model.encoder](model, levels)
