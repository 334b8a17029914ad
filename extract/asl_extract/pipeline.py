"""From one video to its features: decode once, prepare each frame once, run the backbone on batches of clips.

The frames that coming clips need lie in a ring on the device, prepared. Its
length depends on window, stride and batch size alone, so a video of any length
takes the same memory.

Shapes: B clips, T frames per clip, S x S pixels, C channels, D values per feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_extract.backbones.spec import Backbone
from asl_extract.decoders import FrameReader
from asl_extract.frames import FramePreparer, VideoPreparer
from asl_extract.plan import ClipPlan
from asl_kit.device import autocast, choose_precision

BLOCK_FRAMES = 16
"""Frames decoded, moved to the device and prepared together."""


@dataclass
class FrameCount:
    """How many frames were worked on.

    Parameters
    ----------
    decoded : int
        Frames that came out of a decoder.
    prepared : int
        Frames that were resized and normalised.
    in_files : int
        Frames that the opened files hold.
    """

    decoded: int = 0
    prepared: int = 0
    in_files: int = 0


def prepared_frames(
    reader: FrameReader,
    *,
    plan: ClipPlan,
    prepare: VideoPreparer,
    count: FrameCount,
    on_frames: Callable[[int], None] | None = None,
) -> Iterator[Tensor]:
    """Yield the frames of ``plan.source_frames``, prepared, in blocks (n, S, S, C); the whole video is decoded.

    Frames after the last that is needed are decoded too: only so is a damaged file told from a good one.
    """
    needed = plan.source_frames
    start = 0
    for block in reader.blocks(BLOCK_FRAMES):
        stop = start + len(block)
        first, last = np.searchsorted(needed, (start, stop))
        count.decoded += len(block)
        count.prepared += int(last - first)
        for first_chosen in range(first, last, BLOCK_FRAMES):  # a frame that is shown several times comes as often
            piece = needed[first_chosen : min(first_chosen + BLOCK_FRAMES, last)] - start
            yield prepare(block if np.array_equal(piece, np.arange(len(block))) else block[piece])
        start = stop
        if on_frames is not None:
            on_frames(len(block))
    rest = prepare.finish()
    if len(rest):
        yield rest


def clip_batches(frames: Iterator[Tensor], *, plan: ClipPlan, batch_size: int) -> Iterator[Tensor]:
    """Assemble prepared frames into batches of clips, in order: (up to batch_size, C, T, S, S).

    Colours stay innermost in memory (``channels_last_3d``), as the decoder gave them: the batch is a
    view of the gathered frames, and on a CPU X3D runs twice as fast on it.

    Parameters
    ----------
    frames : iterator of Tensor
        Blocks (n, S, S, C) of the frames of ``plan.source_frames``, as `prepared_frames` yields them.
    plan : ClipPlan
        Which frames make which clip.
    batch_size : int
        Clips per batch; the last batch may be smaller.
    """
    batches = _batch_positions(plan, batch_size=batch_size)
    positions = next(batches, None)
    ring: Tensor | None = None
    filled = 0  # frames that have come; frame i lies at i % len(ring)
    for block in frames:
        if ring is None:
            # Frames from a batch's first to its last; a block may come on top.
            ring = block.new_empty((plan.frames_at_once(batch_size) + BLOCK_FRAMES, *block.shape[1:]))
        slots = torch.arange(filled, filled + len(block), device=block.device) % len(ring)
        ring[slots] = block
        filled += len(block)
        while positions is not None and positions.max() < filled:
            slots = torch.from_numpy(positions % len(ring)).to(block.device)
            clips = ring.index_select(0, slots.flatten()).unflatten(0, positions.shape)  # (B, T, S, S, C)
            yield clips.permute(0, 4, 1, 2, 3)
            positions = next(batches, None)


def _batch_positions(plan: ClipPlan, *, batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield, for each batch, where its frames stand in ``plan.source_frames``: (B, T)."""
    for start in range(0, plan.length, batch_size):
        yield plan.positions(start, min(start + batch_size, plan.length))


def extract_features(
    reader: FrameReader,
    *,
    plan: ClipPlan,
    prepare: FramePreparer,
    backbone: Backbone,
    precision: str,
    batch_size: int,
    count: FrameCount,
    on_frames: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Return the features of one video, one a clip: (plan.length, D).

    Parameters
    ----------
    reader : FrameReader
        The video, not yet read.
    plan : ClipPlan
        Made from the reader's frame count and rate.
    prepare : FramePreparer
        Resizes and normalises; its device is the backbone's.
    backbone : Backbone
        In evaluation mode.
    precision : {'float32', 'float16', 'bfloat16'}
        Arithmetic of the backbone.
    batch_size : int
        Clips per forward pass. Batches never cross videos, so a video's features do not depend on its neighbours.
    count : FrameCount
        Counts what is done.
    on_frames : callable, optional
        Called with the number of frames of each decoded block.

    Raises
    ------
    VideoError
        If the video cannot be decoded wholly.
    """
    count.in_files += reader.frame_count
    frames = prepared_frames(reader, plan=plan, prepare=prepare.stream(), count=count, on_frames=on_frames)
    with torch.inference_mode(), autocast(prepare.device, choose_precision(precision, prepare.device)):
        features = [backbone(clips).float() for clips in clip_batches(frames, plan=plan, batch_size=batch_size)]
    return torch.cat(features).cpu().numpy()
