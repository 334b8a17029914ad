"""A network applied to a video of any length, window by window, with the outputs of the whole video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl_kit.model.heads import OFFSETS, Reading
from asl_kit.model.network import Localizer, Output, Points
from asl_kit.torch_utils.device import autocast

CONTEXT_SHARE = 4
"""If attention has no window, this fraction of a window (1 / CONTEXT_SHARE) on either side is only context."""


@dataclass(frozen=True)
class Window:
    """An interval of a long video, and the part of it whose outputs are kept; in features."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def plan_windows(length: int, window: int, coarsest: int, *, reach: int | None) -> Iterator[Window]:
    """Cut a video into overlapping windows whose kept parts tile it exactly.

    Parameters
    ----------
    length : int
        Features of the video.
    window : int
        Features of a window; longer videos are cut. Windows get longer if they would otherwise be mostly context.
    coarsest : int
        Stride of the top pyramid level: windows start at multiples of it, so
        that the pyramids of all windows lie on one grid.
    reach : int, optional
        Features to either side that an output depends on. That many are read around the kept part, so that its
        outputs are those of the whole video. None: all features, so that windows are an approximation; a quarter
        of a window is read on either side.

    Examples
    --------
    >>> [(w.start, w.stop, w.keep_start, w.keep_stop) for w in plan_windows(100, 64, 8, reach=10)]
    [(0, 64, 0, 48), (32, 96, 48, 80), (64, 100, 80, 100)]
    """
    if length <= window:
        yield Window(0, length, 0, length)
        return
    context = max(window // CONTEXT_SHARE // coarsest, 1) if reach is None else -(-reach // coarsest)
    context *= coarsest
    window = max(window // coarsest * coarsest, 3 * context)
    start = kept = 0
    while kept < length:
        stop = min(start + window, length)
        keep_stop = length if stop == length else stop - context
        yield Window(start, stop, kept, keep_stop)
        kept = keep_stop
        start = kept - context


@torch.inference_mode()
def run_windows(
    network: Localizer, features: Tensor, *, window_length: int, precision: torch.dtype
) -> Iterator[tuple[Window, Output]]:
    """Run a network over a video, window by window; yield each window with the network's output.

    If the network's attention has a window, the kept outputs equal those of the whole video up to rounding. Otherwise
    attention sees the features of one window only. An encoder with statistics of the whole video gets it whole.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    features : Tensor
        (T, D) float32, on any device.
    window_length : int
        Features per window; see `plan_windows`.
    precision : torch.dtype
        bfloat16 or float16 run the network under autocast.
    """
    device = next(network.parameters()).device
    length = len(features)
    window_length = window_length if network.in_windows else length
    whole = network.padded_length(length)
    for window in plan_windows(length, window_length, 2 ** (network.levels - 1), reach=network.reach):
        x = features[window.start : window.stop].to(device)
        steps = len(x)
        # The last window is padded like the whole video: outputs near the end depend on the padding.
        padded = (whole if window.stop == length else window.stop) - window.start
        mask = torch.arange(padded, device=device) < steps
        with autocast(device, precision):
            output = network(F.pad(x, (0, 0, 0, padded - steps))[None], mask[None], start=window.start, total=whole)
        yield window, output


class WholeOutput(NamedTuple):
    """The network's output at every point of whole videos; points of level 0, the features, come first."""

    logits: Tensor
    """(B, P, K)."""
    offsets: Tensor
    """(B, P, R): see `asl_kit.model.network.Output`."""
    sensitivity: Tensor | None
    """(B, P, 2): q_cls and q_loc; None without the instance branches."""
    mask: Tensor
    """(B, P), False for points that do not belong to the video."""
    points: Points
    reading: Reading = OFFSETS


def run_whole(network: Localizer, features: Tensor, *, window_length: int, precision: torch.dtype) -> WholeOutput:
    """Return the output of a network for a whole video; parameters as for `run_windows`."""
    kept: list[list[Tensor]] = [[] for _ in range(network.levels)]
    for window, output in run_windows(network, features, window_length=window_length, precision=precision):
        parts = [part.float() for part in (output.logits, output.offsets, output.sensitivity) if part is not None]
        widths = [part.shape[2] for part in parts]
        rows = torch.cat(parts, dim=2)
        first = 0
        for level, size in enumerate(output.points.sizes):
            # Windows start at multiples of the coarsest stride; kept parts end at one, or at the end of the video.
            low = -(-(window.keep_start - window.start) // 2**level) + first
            high = -(-(window.keep_stop - window.start) // 2**level) + first
            kept[level].append(rows[:, low:high])
            first += size
    points = network.points([sum(part.shape[1] for part in level) for level in kept], rows.device)
    whole = torch.cat([part for level in kept for part in level], dim=1)
    logits, offsets, *sensitivity = whole.split(widths, dim=2)
    mask = torch.ones_like(whole[..., 0], dtype=torch.bool)
    return WholeOutput(logits, offsets, sensitivity[0] if sensitivity else None, mask, points, output.reading)
