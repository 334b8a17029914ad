"""The score of a network on a split, for choosing between weights."""

from __future__ import annotations

import numpy as np
import torch

from asl_kit.dataset.split import Split
from asl_kit.inference.detect import detect_videos, resolve_window_length
from asl_kit.metrics import ScoredSegments, Segments, average_precision
from asl_kit.model.assignment import UNLABELLED
from asl_kit.model.collectives import processes, rank
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.schema import Recipe
from asl_train.inputs import TrainingData
from asl_train.processes import gather_objects


def average_map(
    network: Localizer, split: Split, data: TrainingData, recipe: Recipe, shape: Shape, precision: torch.dtype
) -> float:
    """Return the average mAP of a network on a split; each process detects in its videos.

    Of several vocabularies it is the mean over those that the split has an action of; 0 if it holds none.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    split : Split
        What to score on.
    data : TrainingData
        The features, vocabularies and tIoU thresholds.
    recipe : Recipe
        How to detect.
    shape : Shape
        Of the network.
    precision : torch.dtype
        In which the network computes.
    """
    labels = np.concatenate([item.labels for item in split.items])
    if not len(labels):
        return 0.0
    own = detect_videos(
        network,
        split.items[rank() :: processes()],
        data.streams,
        vocabularies=data.vocabularies,
        settings=recipe.inference.model_copy(update={"combined_classes": 0}),
        window_length=resolve_window_length(recipe.inference, shape.sequence_length),
        precision=precision,
    )
    videos = np.repeat(np.arange(len(split.items)), [len(item.labels) for item in split.items])
    segments_s = np.concatenate([item.segments_s for item in split.items])
    scores, first = [], 0
    for place, (vocabulary, class_names) in enumerate(data.vocabularies.items()):
        found = own[vocabulary]
        video = found.video * processes() + rank()  # its place in the split
        columns = gather_objects((video, found.start_s, found.end_s, found.label, found.score))
        video, start_s, end_s, label, score = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        known = labels[:, place] != UNLABELLED
        if known.any():
            precisions = average_precision(
                Segments(videos[known], segments_s[known, 0], segments_s[known, 1], labels[known, place] - first),
                ScoredSegments(video=video, start_s=start_s, end_s=end_s, label=label, score=score),
                num_classes=len(class_names),
                tiou_thresholds=data.tiou_thresholds,
            )
            scores.append(float(np.nanmean(precisions)))
        first += len(class_names)
    return sum(scores) / len(scores)
