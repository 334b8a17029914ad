"""The attention encoder: ActionFormer's transformer blocks.

Legend: B videos in the batch, T time steps, C channels.

Zhang, Wu, Li: "ActionFormer: Localizing Moments of Actions with Transformers", ECCV 2022; its weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl_kit.model.encoders.contract import Encoder
from asl_kit.model.layers import MaskedConv, Pointwise, ScaledDropPath, convolve, max_pool
from asl_kit.recipes.schema import ModelRecipe

SMALLEST_BLOCK = 32  # steps; with smaller blocks, neighbours share more keys, which are copied for each


def attention_encoder(model: ModelRecipe, levels: int) -> Encoder:
    """Return the blocks that a recipe describes."""
    window = model.attention_window
    windows = (window,) * levels if isinstance(window, int) else window

    def block(stride: int, window: int) -> TransformerBlock:
        return TransformerBlock(model.width, model.attention_heads, window=window, stride=stride, dropout=model.dropout)

    return Encoder(
        stem=[block(1, windows[0]) for _ in range(model.stem_blocks)],
        branch=[block(2, window) for window in windows[1:]],
        # The longest attention block in features: twice the reach of a level's attention.
        multiple=max(max(window // 2 * 2, 1) * 2**level for level, window in enumerate(windows)),
    )


class ConvAttention(nn.Module):
    """Multi-head self-attention with a depth-wise convolution before queries, keys and values.

    Parameters
    ----------
    channels : int
        C.
    heads : int
        Attention heads.
    window : int
        Number of steps that a step attends to, centred on itself; 0: all.
    stride : int
        1, or 2 to halve the number of steps.
    dropout : float
        Dropout after the output projection.
    """

    def __init__(self, channels: int, heads: int, *, window: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.stride = stride
        self.reach = window // 2 if window else None
        for role in ("query", "key", "value"):
            conv = MaskedConv(channels, channels, 3, stride=stride, groups=channels, bias=False)
            self.add_module(f"{role}_conv", conv)
            self.add_module(f"{role}_norm", nn.LayerNorm(channels))
            self.add_module(role, Pointwise(channels, channels))
        self.output = Pointwise(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attended sequence (B, T / stride, C), undefined but finite in the padding, and its mask."""
        projected = []
        for role in ("query", "key", "value"):
            # Not masked: nothing attends to the padding.
            y = convolve(x, getattr(self, f"{role}_conv").conv)
            y = self.get_submodule(role)(self.get_submodule(f"{role}_norm")(y))
            projected.append(y.unflatten(2, (self.heads, -1)))  # (B, T, heads, C / heads)
        query, key, value = projected
        mask = mask[:, :: self.stride]
        if self.reach is not None:
            attended = local_attention(query, key, value, mask.squeeze(2), reach=self.reach)
        else:
            # Finite, as in `local_attention`.
            bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -1e4)
            query, key, value = (x.transpose(1, 2) for x in projected)
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.transpose(1, 2)[:, None])
            attended = attended.transpose(1, 2)
        return self.dropout(self.output(attended.flatten(2))), mask


def local_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, *, reach: int) -> Tensor:
    """Attention of every step to itself and `reach` steps on both sides.

    The sequence is split into blocks of at least `reach` steps; each block of queries attends to the keys from `reach`
    steps before it to `reach` steps after it, under a band mask. Work and memory are linear in T, not quadratic.

    Parameters
    ----------
    query, key, value : Tensor
        (B, T, heads, channels per head).
    mask : Tensor
        (B, T), bool: True where a step is valid.
    reach : int
        Steps to each side.

    Returns
    -------
    Tensor
        (B, T, heads, channels per head); undefined but finite in the padding.
    """
    steps, width = query.shape[1], query.shape[3]
    block = max(reach, SMALLEST_BLOCK)
    blocks = -(-steps // block)
    spare = blocks * block - steps

    def seen(x: Tensor) -> Tensor:
        """Return what each block sees: (B, T, ...) -> (B, blocks, ..., reach + block + reach)."""
        padding = (0, 0) * (x.ndim - 2) + (reach, reach + spare)
        return F.pad(x, padding).unfold(1, block + 2 * reach, block)

    query = F.pad(query, (0, 0, 0, 0, 0, spare)).unflatten(1, (blocks, block)).transpose(2, 3)
    # Query i of a block may attend to keys i to i + 2 * reach of those that the block sees.
    allowed = seen(mask)[:, :, None].expand(-1, -1, block, -1).triu().tril(2 * reach)
    # A large finite number, not -inf: a step in the padding may have no valid key, and must not become NaN.
    bias = ~allowed[:, :, None] * -1e4  # (B, blocks, 1, block, reach + block + reach)
    # Not torch's fused attention: on a CPU, its gradient takes four times as long for blocks this small.
    scores = torch.add(bias, query @ seen(key), alpha=width**-0.5)
    attention = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return (attention @ seen(value).mT).transpose(2, 3).flatten(1, 2)[:, :steps]


class TransformerBlock(nn.Module):
    """Pre-norm transformer block; with stride 2, it halves the number of steps.

    Parameters
    ----------
    channels, heads, window, stride, dropout
        As for `ConvAttention`.
    """

    def __init__(self, channels: int, heads: int, *, window: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = ConvAttention(channels, heads, window=window, stride=stride, dropout=dropout)
        self.attention_path = ScaledDropPath(channels)
        self.stride = stride
        self.reach = 1 + window // 2 * stride if window else None  # a convolution of 3, then attention
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            Pointwise(channels, 4 * channels),
            nn.GELU(),
            nn.Dropout(dropout),
            Pointwise(4 * channels, channels),
            nn.Dropout(dropout),
        )
        self.mlp_path = ScaledDropPath(channels)

    def forward(self, x: Tensor, mask: Tensor, kept: Sequence[Tensor | None] = (None, None)) -> tuple[Tensor, Tensor]:
        """Return the transformed sequence (B, T / stride, C), 0 in the padding, and its mask.

        `kept` holds the factors of the attention and of the MLP, as for `ScaledDropPath`.
        """
        attended, mask = self.attention(self.attention_norm(x), mask)
        x = self.attention_path(max_pool(x, self.stride), attended, kept[0])
        # Masked once, at the end: no step of the padding reaches another one before.
        return self.mlp_path(x, self.mlp(self.mlp_norm(x)), kept[1]) * mask, mask
