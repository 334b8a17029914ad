"""A trained network applied to a video of any length: detections in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asl_kit.base.console import progress_bar
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import VideoItem
from asl_kit.detections.table import JOINT, Detections
from asl_kit.grid import FeatureGrid
from asl_kit.inference.windows import run_whole
from asl_kit.model.decoding import Candidates, decode, decode_combinations, soft_nms, split_combination, vote
from asl_kit.model.network import Localizer
from asl_kit.recipes.schema import InferenceRecipe


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
