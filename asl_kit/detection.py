"""A trained network applied to a video of any length: detections in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asl_kit.data import FeatureReader, VideoItem
from asl_kit.device import autocast
from asl_kit.grid import FeatureGrid
from asl_kit.model.decoding import Candidates, decode, decode_combinations, soft_nms, split_combination, vote
from asl_kit.model.network import Localizer, Output, Points
from asl_kit.predictions import JOINT, Detections
from asl_kit.progress import progress_bar
from asl_kit.recipe import InferenceRecipe

CONTEXT_SHARE = 4
"""Where attention has no window, one in so many features of a window, on either side, is only context."""


@dataclass(frozen=True)
class Window:
    """A stretch of a long video, and the part of it whose outputs are kept; in features."""

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
        Features of a window; longer videos are cut. Windows are longer where less would be mostly context.
    coarsest : int
        Stride of the top pyramid level: windows start at multiples of it, so
        that the pyramids of all windows lie on one grid.
    reach : int, optional
        Features to either side that an output depends on: so many are read around what is kept, which makes the
        outputs those of the whole video. None: all, so that windows cannot give the same; a quarter is read.

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

    What is kept of them is what the network says of the whole video, up to rounding, where its attention has a
    window. Attention to all features is to those of a window only.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    features : Tensor
        (T, D) float32, on any device.
    window_length : int
        Features read at once; see `plan_windows`.
    precision : torch.dtype
        bfloat16 or float16 run the network under autocast.
    """
    device = next(network.parameters()).device
    length = len(features)
    whole = network.padded_length(length)
    for window in plan_windows(length, window_length, 2 ** (network.levels - 1), reach=network.reach):
        x = features[window.start : window.stop].to(device)
        steps = len(x)
        # The last window ends as the whole video would: what lies at its end depends on the padding behind it.
        padded = (whole if window.stop == length else window.stop) - window.start
        mask = torch.arange(padded, device=device) < steps
        with autocast(device, precision):
            output = network(F.pad(x, (0, 0, 0, padded - steps))[None], mask[None], start=window.start, total=whole)
        yield window, output


class WholeOutput(NamedTuple):
    """What the network says at every point of a whole video."""

    logits: Tensor
    """(P, K)."""
    offsets: Tensor
    """(P, 2)."""
    sensitivity: Tensor | None
    """(P, 2): q_cls and q_loc; None without the instance branches."""
    points: Points


def run_whole(network: Localizer, features: Tensor, *, window_length: int, precision: torch.dtype) -> WholeOutput:
    """Return what a network says of a whole video, read and run as by `run_windows`."""
    kept: list[list[Tensor]] = [[] for _ in range(network.levels)]
    for window, output in run_windows(network, features, window_length=window_length, precision=precision):
        parts = [part[0].float() for part in (output.logits, output.offsets, output.sensitivity) if part is not None]
        widths = [part.shape[1] for part in parts]
        rows = torch.cat(parts, dim=1)
        first = 0
        for level, size in enumerate(output.points.sizes):
            # Windows start at multiples of the coarsest stride, kept parts end at one or at the end of the video.
            low = -(-(window.keep_start - window.start) // 2**level) + first
            high = -(-(window.keep_stop - window.start) // 2**level) + first
            kept[level].append(rows[low:high])
            first += size
    points = network.points([sum(map(len, level)) for level in kept], rows.device)
    logits, offsets, *sensitivity = torch.cat([part for level in kept for part in level]).split(widths, dim=1)
    return WholeOutput(logits, offsets, sensitivity[0] if sensitivity else None, points)


@torch.inference_mode()
def detect(
    network: Localizer,
    features: Tensor,
    *,
    grid: FeatureGrid,
    duration_s: float,
    classes: Sequence[int],
    settings: InferenceRecipe,
    window_length: int,
    precision: torch.dtype = torch.float32,
) -> list[Candidates]:
    """Find the actions of one video, in each vocabulary by itself.

    Candidates, suppression, voting and the number of detections are each vocabulary's own. With several vocabularies,
    `asl_kit.model.decoding.decode_combinations` gives one list more.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    features : Tensor
        (T, D) float32, on any device.
    grid : FeatureGrid
        Of the features.
    duration_s : float
        Detections are clipped to [0, duration_s).
    classes : sequence of int
        Classes of each vocabulary.
    settings : InferenceRecipe
        Thresholds, suppression and voting.
    window_length : int
        Features read at once; longer videos are read in windows and stitched.
    precision : torch.dtype
        bfloat16 or float16 run the network under autocast.

    Returns
    -------
    list of Candidates
        Of each vocabulary, then of combinations where the settings want them; on the CPU, in seconds, sorted by falling
        score.
    """
    whole = run_whole(network, features, window_length=window_length, precision=precision)
    of_vocabularies = whole.logits.split(list(classes), dim=1)
    factor = torch.ones_like(whole.offsets[:, 0])
    if whole.sensitivity is not None:
        factor = whole.sensitivity[:, 0] ** settings.sensitivity_power
    everywhere = (whole.offsets, factor, whole.points)
    limits: dict[str, Any] = {
        "min_score": settings.min_score if settings.candidate_min_score is None else settings.candidate_min_score,
        "candidates_per_level": settings.candidates_per_level,
        "min_length": settings.min_length_steps,
    }
    found = [decode(own, *everywhere, **limits) for own in of_vocabularies]
    if len(classes) > 1 and settings.combined_classes:
        found.append(
            decode_combinations(of_vocabularies, *everywhere, classes_per_point=settings.combined_classes, **limits)
        )
    return [_suppress(candidates, grid, duration_s, settings) for candidates in found]


def _suppress(candidates: Candidates, grid: FeatureGrid, duration_s: float, settings: InferenceRecipe) -> Candidates:
    """Return what is left of candidates after soft-NMS and voting, in seconds."""
    candidates = Candidates(*(tensor.cpu() for tensor in candidates))
    kept = soft_nms(
        candidates,
        sigma=settings.nms_sigma,
        min_score=settings.min_score,
        max_detections=settings.max_detections,
        per_class=settings.per_class,
    )
    kept = vote(kept, candidates, tiou=settings.voting_tiou, per_class=settings.per_class)
    segments_s = torch.from_numpy(grid.to_seconds(kept.segments.double().numpy())).clamp(0, duration_s)
    lasting = segments_s[:, 1] > segments_s[:, 0]
    return Candidates(segments_s[lasting], kept.scores[lasting], kept.labels[lasting])


def resolve_window_length(settings: InferenceRecipe, sequence_length: int) -> int:
    """Return how many features are read at once: the recipe's number, or 4 training sequences and at least 4,096."""
    return max(4 * sequence_length, 4096) if settings.window_length == "auto" else settings.window_length


def detect_videos(
    network: Localizer,
    items: Sequence[VideoItem],
    streams: FeatureReader,
    *,
    vocabularies: Mapping[str, Sequence[str]],
    settings: InferenceRecipe,
    window_length: int,
    precision: torch.dtype = torch.float32,
) -> dict[str, Detections]:
    """Find the actions of many videos, read from their stores one after the other; returned as by `to_detections`.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    items : sequence of VideoItem
        The videos.
    streams : FeatureReader
        Their features.
    vocabularies : mapping of str to sequence of str
        The network's classes, in order, by vocabulary.
    settings, window_length, precision
        See `detect`.
    """
    found = []
    with progress_bar("detecting", len(items)) as bar:
        for item in items:
            features = torch.from_numpy(streams.read(item.video_id))
            found.append(
                detect(
                    network,
                    features,
                    grid=item.grid,
                    duration_s=item.duration_s,
                    classes=[len(names) for names in vocabularies.values()],
                    settings=settings,
                    window_length=window_length,
                    precision=precision,
                )
            )
            bar.advance()
    return to_detections([item.video_id for item in items], found, vocabularies)


def to_detections(
    video_ids: Sequence[str], found: Sequence[Sequence[Candidates]], vocabularies: Mapping[str, Sequence[str]]
) -> dict[str, Detections]:
    """Return what `detect` has found in each video as one table for each vocabulary.

    Combinations of classes are a table more, named like its classes: ``verb,noun``, of ``take,plate`` and others. It
    knows the classes that were found only.
    """
    columns = list(zip(*found, strict=True)) or [()] * len(vocabularies)
    tables = {
        name: _table(video_ids, column, tuple(class_names))
        for (name, class_names), column in zip(vocabularies.items(), columns, strict=False)
    }
    if len(columns) > len(vocabularies):
        combined = columns[-1]
        numbers = torch.cat([one.labels for one in combined]).unique()
        classes = [len(class_names) for class_names in vocabularies.values()]
        names = [
            JOINT.join(
                class_names[label]
                for class_names, label in zip(vocabularies.values(), split_combination(number, classes), strict=True)
            )
            for number in numbers.tolist()
        ]
        renumbered = [one._replace(labels=torch.searchsorted(numbers, one.labels)) for one in combined]
        tables[JOINT.join(vocabularies)] = _table(video_ids, renumbered, tuple(names))
    return tables


def _table(video_ids: Sequence[str], found: Sequence[Candidates], class_names: tuple[str, ...]) -> Detections:
    segments_s = np.concatenate([np.zeros((0, 2)), *(one.segments.numpy() for one in found)])
    return Detections(
        video_ids=tuple(video_ids),
        video=np.repeat(np.arange(len(found)), [len(one.scores) for one in found]).astype(np.int32),
        start_s=segments_s[:, 0],
        end_s=segments_s[:, 1],
        score=np.concatenate([np.zeros(0), *(one.scores.double().numpy() for one in found)]),
        label=np.concatenate([np.zeros(0, np.int32), *(one.labels.int().numpy() for one in found)]),
        class_names=class_names,
    )
