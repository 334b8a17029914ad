"""The max-pooling encoder: each level is the maximum over three steps of the level below; nothing is learned.

Tang, Kim, Sohn: "TemporalMaxer: Maximize Temporal Context with only Max Pooling for Temporal Action Localization",
arXiv 2303.09055.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from asl_kit.model.encoders.contract import Encoder
from asl_kit.model.layers import max_pool
from asl_kit.recipes.schema import ModelRecipe


def maxpool_encoder(model: ModelRecipe, levels: int) -> Encoder:
    """Return the blocks that a recipe describes."""
    return Encoder(stem=[], branch=[MaxPoolBlock() for _ in range(levels - 1)], multiple=2 ** (levels - 1))


class MaxPoolBlock(nn.Module):
    """Max pooling that halves the number of steps."""

    reach = 1

    def forward(self, x: Tensor, mask: Tensor, kept: Sequence[Tensor | None] = (None, None)) -> tuple[Tensor, Tensor]:
        """Return the pooled sequence (B, T / 2, C), 0 in the padding, and its mask."""
        mask = mask[:, ::2]
        return max_pool(x, 2) * mask, mask
