"""What every encoder is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn


class Encoder(NamedTuple):
    """The blocks between the projection and the heads.

    A block is called as ``block(x, mask, kept)`` with a sequence (B, T, C), its mask (B, T, 1), and two factors of its
    branches as for `asl_kit.model.layers.ScaledDropPath`; it returns (B, T / stride, C) and the mask of that. Its
    attribute `reach` is the number of its input steps on either side that an output depends on; None: all.
    """

    stem: Sequence[nn.Module]
    """Blocks at full rate, before level 0 of the pyramid."""
    branch: Sequence[nn.Module]
    """One block for each further level, which halves the number of steps."""
    multiple: int
    """With full padding, sequences longer than in training are padded to a multiple of this number of features."""
    in_windows: bool = True
    """Whether long videos may be computed in windows; False: blocks use statistics of the whole video."""
