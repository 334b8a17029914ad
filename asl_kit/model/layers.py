"""Building blocks on sequences of shape (B, T, C) with a mask of shape (B, T, 1).

Legend: B videos in the batch, T time steps, C channels. A mask is True where a
video has a feature and False in the padding after it. Channels are the last
dimension, so no layer has to transpose the sequence for the next one.

The blocks are those of ActionFormer (Zhang, Wu, Li: "ActionFormer: Localizing
Moments of Actions with Transformers", ECCV 2022), so that its weights fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINOGRAD_KERNELS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


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


def max_pool(x: Tensor, stride: int) -> Tensor:
    """Return the maximum of every step and its neighbours, at every `stride`-th step: (B, T, C) -> (B, T / stride, C).

    With a stride of 1, it is x itself.
    """
    if stride == 1:
        return x
    image = x.transpose(1, 2).unsqueeze(2)
    return F.max_pool2d(image, (1, 3), stride=(1, stride), padding=(0, 1)).squeeze(2).transpose(1, 2)


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


class Pointwise(nn.Conv1d):
    """A linear map of every time step, stored like ActionFormer's: a convolution of kernel size 1, initial bias 0."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mapped sequence: (B, T, C) -> (B, T, C')."""
        return convolve(x, self)
