"""The score of a network on the validation split, which decides which weights are kept."""

from __future__ import annotations

import numpy as np

from asl_kit.dataset.split import Split
from asl_kit.inference.detector import Detector
from asl_kit.metrics import ScoredSegments, Segments, average_precision
from asl_kit.model.assignment import UNLABELLED
from asl_kit.model.collectives import rank, world_size
from asl_train.distributed import gather_objects
from asl_train.training_data import TrainingData


def average_map(detector: Detector, split: Split, data: TrainingData) -> float:
    """Return the average mAP of a detector on a split; each process detects in its own share of the videos.

    With several vocabularies it is the mean over those that have an action in the split; 0 without any action.
    """
    labels = np.concatenate([item.labels for item in split.items])
    if not len(labels):
        return 0.0
    own = detector.detect_videos(split.items[rank() :: world_size()], data.reader).by_vocabulary
    videos = np.repeat(np.arange(len(split.items)), [len(item.labels) for item in split.items])
    segments_s = np.concatenate([item.segments_s for item in split.items])
    scores, first = [], 0
    for place, (vocabulary, class_names) in enumerate(data.outputs.items()):
        found = own[vocabulary]
        video = found.video * world_size() + rank()  # index in the split
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
