"""The score of a network on a split, for choosing between weights."""

from __future__ import annotations

import numpy as np
import torch

from asl_kit.checkpoint import Shape
from asl_kit.data import Split
from asl_kit.detection import detect_videos, resolve_window_length
from asl_kit.metrics import ScoredSegments, Segments, average_precision
from asl_kit.model.collectives import processes, rank
from asl_kit.model.network import Localizer
from asl_kit.recipe import Recipe
from asl_train.inputs import TrainingData
from asl_train.processes import gather_objects


def average_map(
    network: Localizer, split: Split, data: TrainingData, recipe: Recipe, shape: Shape, precision: torch.dtype
) -> float:
    """Return the average mAP of a network on a split, 0 if it holds no action; each process detects in its videos.

    Parameters
    ----------
    network : Localizer
        In evaluation mode.
    split : Split
        What to score on.
    data : TrainingData
        The features, class names and tIoU thresholds.
    recipe : Recipe
        How to detect.
    shape : Shape
        Of the network.
    precision : torch.dtype
        In which the network computes.
    """
    segments_s = np.concatenate([item.segments_s for item in split.items])
    truth = Segments(
        video=np.repeat(np.arange(len(split.items)), [len(item.labels) for item in split.items]),
        start_s=segments_s[:, 0],
        end_s=segments_s[:, 1],
        label=np.concatenate([item.labels for item in split.items]),
    )
    if not len(truth):
        return 0.0
    own = detect_videos(
        network,
        split.items[rank() :: processes()],
        data.streams,
        class_names=data.class_names,
        settings=recipe.inference,
        window_length=resolve_window_length(recipe.inference, shape.sequence_length),
        precision=precision,
    )
    video = own.video * processes() + rank()  # its place in the split
    columns = gather_objects((video, own.start_s, own.end_s, own.label, own.score))
    video, start_s, end_s, label, score = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    precisions = average_precision(
        truth,
        ScoredSegments(video=video, start_s=start_s, end_s=end_s, label=label, score=score),
        num_classes=len(data.class_names),
        tiou_thresholds=data.tiou_thresholds,
    )
    return float(np.nanmean(precisions))
