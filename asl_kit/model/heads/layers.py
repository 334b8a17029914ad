"""The convolutions of every head, and the pyramid in the form in which they run over it.

Legend: B videos in the batch, L pyramid levels, P points of all levels together, C channels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl_kit.model.layers import MaskedConv


class Head(nn.Module):
    """Convolutions with layer norm and ReLU between them.

    Parameters
    ----------
    width : int
        C of the input.
    outputs : int
        Channels of the last convolution.
    layers : int
        Number of convolutions.
    hidden : int, optional
        Channels between the convolutions; C by default.
    kernel : int
        Kernel size, odd.
    prior : float, optional
        Probability that the sigmoid of an untrained output says.
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        *,
        layers: int,
        hidden: int | None = None,
        kernel: int = 3,
        prior: float | None = None,
    ) -> None:
        super().__init__()
        widths = [width] + [hidden or width] * (layers - 1)
        self.hidden = nn.ModuleList(MaskedConv(*pair, kernel, bias=False) for pair in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in widths[1:])
        self.last = MaskedConv(widths[-1], outputs, kernel)
        if prior is not None:
            nn.init.constant_(self.last_bias, -math.log((1 - prior) / prior))

    @property
    def margin(self) -> int:
        """Steps to either side that one of its convolutions sees."""
        return self.last.conv.kernel_size[0] // 2

    @property
    def reach(self) -> int:
        """Steps to either side that an output depends on."""
        return (len(self.hidden) + 1) * self.margin

    @property
    def last_bias(self) -> Tensor:
        """Bias of the last convolution, (outputs,)."""
        bias = self.last.conv.bias
        assert bias is not None  # see __init__
        return bias


class PackedPyramid(NamedTuple):
    """All levels of the pyramid in one sequence, so that a head runs only once.

    Separating rows follow each level, as many as a convolution sees to one side. They are set to zero before each
    convolution, like the zero padding at the end of a level.
    """

    x: Tensor
    """(B, P + R, C): R rows separate the levels."""
    mask: Tensor
    """(B, P + R, 1): valid steps."""
    inside: Tensor
    """(1, P + R, 1): False in the separating rows."""
    sizes: list[int]
    """Rows of each level, and of the separating rows, which follow it."""

    @classmethod
    def pack(cls, pyramid: Sequence[Tensor], masks: Sequence[Tensor], rows: int = 1) -> PackedPyramid:
        """Join the levels, each followed by separating rows."""

        def join(levels: Sequence[Tensor]) -> Tensor:
            separator = levels[0].new_zeros(len(levels[0]), rows, levels[0].shape[2])
            return torch.cat([part for level in levels for part in (level, separator)], dim=1)

        every = torch.ones_like(masks[0][:1])
        inside = join([every[:, : level.shape[1]] for level in masks])
        return cls(join(pyramid), join(masks), inside, [size for level in masks for size in (level.shape[1], rows)])

    def run(self, *heads: Head) -> Tensor:
        """Run heads over all levels; return (B, P, outputs of all heads)."""
        outputs = []
        for head in heads:
            x = self.x
            for conv, norm in zip(head.hidden, head.norms, strict=True):
                x = F.relu(norm(conv(x, self.mask)[0])) * self.inside
            outputs.append(head.last(x, self.mask)[0])
        # Split by sizes known to the host: selection by a mask would synchronise with the GPU.
        return torch.cat(torch.cat(outputs, dim=2).split(self.sizes, dim=1)[::2], dim=1)
