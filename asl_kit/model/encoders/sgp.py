"""The SGP encoder: TriDet's scalable-granularity perception layers, convolutions in place of attention.

Legend: B videos in the batch, T time steps, C channels.

Shi et al.: "TriDet: Temporal Action Detection with Relative Boundary Modeling", CVPR 2023, section 3.2; its
weights fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl_kit.model.encoders.contract import Encoder
from asl_kit.model.layers import Pointwise, ScaledDropPath, max_pool
from asl_kit.recipes.schema import SGP_GROUPS, ModelRecipe


def sgp_encoder(model: ModelRecipe, levels: int) -> Encoder:
    """Return the blocks that a recipe describes."""
    window = model.sgp_window
    windows = (window,) * levels if isinstance(window, int) else window

    def block(stride: int, window: int) -> SGPBlock:
        return SGPBlock(
            model.width,
            window,
            wide=wide_window(window, model.sgp_window_factor),
            hidden=model.sgp_mlp_width or 4 * model.width,
            stride=stride,
            over_padding=model.padding == "full",
            deviation=model.sgp_initial_deviation,
        )

    return Encoder(
        stem=[block(1, 1) for _ in range(model.stem_blocks)],
        branch=[block(2, window) for window in windows[1:]],
        multiple=math.lcm(max(window * 2**level for level, window in enumerate(windows)), 2 ** (levels - 1)),
        in_windows=False,
    )


def wide_window(window: int, factor: float) -> int:
    """Return the kernel of the wide window-level branch: ``(window + 1) * factor``, or one more to be odd.

    Examples
    --------
    >>> wide_window(1, 5), wide_window(15, 1.3)
    (11, 21)
    """
    return round((window + 1) * factor) // 2 * 2 + 1


class SGPBlock(nn.Module):
    """Instant-level and window-level branches, then an MLP; with stride 2, it halves the number of steps.

    The instant-level branch weights every channel by the mean over the video, the window-level branch multiplies two
    depth-wise convolutions. With them and the group norm, an output depends on the whole video.

    Parameters
    ----------
    channels : int
        C, a multiple of `SGP_GROUPS`.
    window, wide : int
        Kernel sizes of the window-level branch, odd.
    hidden : int
        Channels of the MLP.
    stride : int
        1, or 2 to halve the number of steps by max pooling. TriDet scales and drops branches only with 2.
    over_padding : bool
        Whether mean and group norm include the padding, which then is not 0, as in TriDet.
    deviation : float
        Standard deviation of the initial weights of the convolutions.
    """

    reach = None

    def __init__(
        self,
        channels: int,
        window: int,
        *,
        wide: int,
        hidden: int,
        stride: int = 1,
        over_padding: bool = False,
        deviation: float = 0.1,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.over_padding = over_padding
        self.sgp_norm = nn.LayerNorm(channels)
        self.instant = Depthwise(channels, 1, deviation)
        self.instant_gate = Depthwise(channels, 1, deviation)
        self.window = Depthwise(channels, window, deviation)
        self.wide_window = Depthwise(channels, wide, deviation)
        self.window_gate = Depthwise(channels, window, deviation)
        self.feedforward_norm = nn.GroupNorm(SGP_GROUPS, channels)
        self.feedforward = nn.Sequential(Pointwise(channels, hidden), nn.GELU(), Pointwise(hidden, channels))
        self.sgp_path = ScaledDropPath(channels) if stride > 1 else PlainPath()
        self.feedforward_path = ScaledDropPath(channels) if stride > 1 else PlainPath()

    def forward(self, x: Tensor, mask: Tensor, kept: Sequence[Tensor | None] = (None, None)) -> tuple[Tensor, Tensor]:
        """Return the transformed sequence (B, T / stride, C) and its mask; 0 in the padding unless `over_padding`.

        `kept` holds the factors of the branches and of the MLP, as for `ScaledDropPath`.
        """
        x, mask = max_pool(x, self.stride), mask[:, :: self.stride]
        counted = torch.ones_like(mask) if self.over_padding else mask
        y = self.sgp_norm(x) * counted
        gate = F.relu(self.instant_gate(_mean(y, counted)))
        # Two convolutions whose sum is taken are one, of the wider kernel.
        spare = (self.wide_window.kernel_size[0] - self.window.kernel_size[0]) // 2
        weight = F.pad(self.window.weight, [max(spare, 0)] * 2) + F.pad(self.wide_window.weight, [max(-spare, 0)] * 2)
        wide = _convolve(y, weight, self.window.bias + self.wide_window.bias)
        both = torch.addcmul(torch.addcmul(y, self.instant(y), gate), wide, self.window_gate(y))
        x = self.sgp_path(x * mask, both, kept[0])
        y = self.feedforward(_group_norm(x, counted, self.feedforward_norm))
        return self.feedforward_path(x, y, kept[1]) * counted, mask


class PlainPath(nn.Module):
    """A residual branch that is neither scaled nor dropped."""

    def forward(self, x: Tensor, branch: Tensor, kept: Tensor | None) -> Tensor:
        """Add a branch (B, T, C) to x."""
        return x + branch


class Depthwise(nn.Conv1d):
    """A depth-wise convolution with normally distributed initial weights and an initial bias of 0.

    Parameters
    ----------
    channels : int
        C.
    kernel : int
        Kernel size, odd.
    deviation : float
        Standard deviation of the initial weights.
    """

    bias: nn.Parameter

    def __init__(self, channels: int, kernel: int, deviation: float) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)
        nn.init.normal_(self.weight, std=deviation)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sequence (B, T, C) after the convolution."""
        return _convolve(x, self.weight, self.bias)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return a depth-wise convolution, (B, T, C) -> (B, T, C), with a weight (C, 1, kernel size)."""
    kernel = weight.shape[2]
    if kernel == 1:
        return x * weight.flatten() + bias
    image = x.transpose(1, 2).unsqueeze(2)
    y = F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, kernel // 2), groups=x.shape[2])
    return y.squeeze(2).transpose(1, 2)


def _mean(x: Tensor, counted: Tensor) -> Tensor:
    """Return the mean over the steps that count: (B, T, C) -> (B, 1, C), at least float32."""
    counted = counted.to(torch.promote_types(x.dtype, torch.float32))
    return (x * counted).sum(1, keepdim=True) / counted.sum(1, keepdim=True).clamp(min=1)


def _group_norm(x: Tensor, counted: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Return the group norm (B, T, C) whose statistics are those of the steps that count."""

    def of_groups(means: Tensor) -> Tensor:
        groups: Tensor = means.unflatten(2, (norm.num_groups, -1)).mean(3)
        return groups.repeat_interleave(x.shape[2] // norm.num_groups, dim=2)

    centered = x - of_groups(_mean(x, counted))
    deviation = (of_groups(_mean(centered.square(), counted)) + norm.eps).sqrt()
    return torch.addcmul(norm.bias, centered, norm.weight / deviation)
