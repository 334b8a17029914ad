"""The localization heads of a recipe's `model.head`, each in a module of its own."""

from __future__ import annotations

from asl_kit.model.heads.contract import LocalizationHead, Located, Reading
from asl_kit.model.heads.layers import Head, PackedPyramid
from asl_kit.model.heads.offsets import OffsetHead, OffsetReading
from asl_kit.model.heads.trident import TridentHead
from asl_kit.recipes.schema import ModelRecipe

__all__ = ["OFFSETS", "Head", "Located", "PackedPyramid", "Reading", "make_head"]

OFFSETS: Reading = OffsetReading()
"""The reading of a head whose columns are the two distances."""
_HEADS = {"offsets": OffsetHead, "trident": TridentHead}


def make_head(model: ModelRecipe, classes: int) -> LocalizationHead:
    """Return the localization head that a recipe names, for this number of classes."""
    return _HEADS[model.head](model, classes)
