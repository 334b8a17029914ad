"""Building blocks on sequences of shape (B, T, C) with a mask of shape (B, T, 1).

Legend: B videos in the batch, T time steps, C channels. A mask is True where a
video has a feature and False in the padding after it. Channels are the last
dimension, so no layer has to transpose the sequence for the next one.

The blocks are those of ActionFormer (Zhang, Wu, Li: "ActionFormer: Localizing
Moments of Actions with Transformers", ECCV 2022), so that its weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINOGRAD_KERNELS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
SMALLEST_BLOCK = 32  # steps; with smaller blocks, neighbours share more keys, which are copied for each


class MaskedConv(nn.Module):
    """Convolution over time whose output is 0 in the padding.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, groups, bias
        As for `torch.nn.Conv1d`; the kernel size is odd. The bias starts at 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, groups=groups, bias=bias
        )
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output (B, T / stride, C') and its mask (B, T / stride, 1)."""
        mask = mask[:, :: self.stride]
        y = convolve(x, self.conv)
        return y * mask, mask


def convolve(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """Return a convolution over time: (B, T, C) -> (B, T / stride, C').

    The fastest form is used (tests/benchmarks/train_step.py): the convolution of an image that is one row high, with
    channels last. On a CPU in float32, kernels of 3 take half the time with channels first, and less with `winograd`
    where no gradient is wanted. A kernel of 1 is a matrix product.
    """
    exact_on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    kernel = conv.kernel_size[0]
    if kernel == 1:
        return product(x, conv.weight, conv.bias) if exact_on_cpu else F.linear(x, conv.weight.squeeze(2), conv.bias)
    if exact_on_cpu and not torch.is_grad_enabled() and (kernel, *conv.stride, conv.groups) == (3, 1, 1):
        return winograd(x, conv.weight, conv.bias)
    image = x.transpose(1, 2).unsqueeze(2)  # (B, C, 1, T), a view
    if exact_on_cpu and conv.groups == 1:
        image = image.contiguous()
    y = F.conv2d(
        image,
        conv.weight.unsqueeze(2),
        conv.bias,
        stride=(1, conv.stride[0]),
        padding=(0, kernel // 2),
        groups=conv.groups,
    )
    return y.squeeze(2).transpose(1, 2)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution over time with a kernel of 1, on a CPU in float32: (B, T, C) -> (B, T, C').

    As 16 images where possible: for fewer, torch calls MKL if there is one thread (use_mkldnn in its Convolution.cpp),
    and MKL takes 1.2 times as long as oneDNN on AMD's processors.
    """
    videos, steps, channels = x.shape
    count = 16 if videos * steps % 16 == 0 else 1
    images = x.reshape(count, -1, 1, channels).permute(0, 3, 1, 2)  # channels last
    return F.conv2d(images, weight.unsqueeze(2), bias).permute(0, 2, 3, 1).reshape(videos, steps, -1)


def winograd(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution over time with a kernel of 3, without gradient: 4 products for 2 steps in place of 6.

    Parameters
    ----------
    x : Tensor
        (B, T, C).
    weight : Tensor
        (C', C, 3), as of `torch.nn.Conv1d`.
    bias : Tensor, optional
        (C',).

    Returns
    -------
    Tensor
        (B, T, C').

    References
    ----------
    Lavin and Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4.1: F(2, 3).
    """
    steps = x.shape[1]
    pairs = F.pad(x, (0, 0, 1, 1 + -steps % 32)).unflatten(1, (-1, 2))  # a multiple of 16 pairs, as `product` wants
    first, second = pairs[:, :-1].unbind(2)  # (B, T / 2, C): the four steps that each pair of outputs depends on
    third, fourth = pairs[:, 1:].unbind(2)
    kernels = (x.new_tensor(WINOGRAD_KERNELS) @ weight.flatten(0, 1).mT).unflatten(1, (*weight.shape[:2], 1))
    a, b, c, d = map(product, (first - third, second + third, third - second, second - fourth), kernels)
    if bias is not None:
        b += bias
    y = torch.stack((a.add_(b).add_(c), b.sub_(c).sub_(d)), dim=2)
    return y.flatten(1, 2)[:, :steps]


class ScaledDropPath(nn.Module):
    """A residual branch with a learnable scale per channel and drop path: dropping the whole branch for random videos.

    Parameters
    ----------
    channels : int
        C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, channels, 1), 1e-4))

    def forward(self, x: Tensor, branch: Tensor, kept: Tensor | None) -> Tensor:
        """Add a branch (B, T, C) to x.

        `kept` is a factor for each video, (B, 1, 1): 0 where the branch is dropped, and above 1 elsewhere, which keeps
        the mean; None: 1.
        """
        scale = self.scale.mT
        return x + (scale if kept is None else scale * kept) * branch


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
        if self.stride > 1:
            image = x.transpose(1, 2).unsqueeze(2)
            x = F.max_pool2d(image, (1, 3), stride=(1, self.stride), padding=(0, 1)).squeeze(2).transpose(1, 2)
        x = self.attention_path(x, attended, kept[0])
        # Masked once, at the end: no step of the padding reaches another one before.
        return self.mlp_path(x, self.mlp(self.mlp_norm(x)), kept[1]) * mask, mask


class Pointwise(nn.Conv1d):
    """A linear map of every time step, stored like ActionFormer's: a convolution of kernel size 1, initial bias 0."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mapped sequence: (B, T, C) -> (B, T, C')."""
        return convolve(x, self)
