"""Segmental F1 at tIoU 0.1, 0.25 and 0.5: the score of action segmentation, for detections.

Action segmentation gives every moment at most one action, without a score. Detections are made comparable: those with
scores below `MIN_SCORE` are left out, and of those that overlap in time only the one with the highest score is kept,
whatever their classes.
"""

from __future__ import annotations

import numpy as np

from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import Metric, Scores
from asl_evaluate.task import Task, prepare
from asl_kit.metrics import ScoredSegments, Segments, temporal_iou

MIN_SCORE = 0.3


def score(task: Task) -> Scores:
    """Score F1@tIoU, over the segments of all videos and classes together.

    References
    ----------
    Lea, Flynn, Vidal, Reiter, Hager: Temporal Convolutional Networks for Action Segmentation and Detection, CVPR 2017.
    """
    prepared = prepare(task)  # ground truth and detections as columns, in the same numbers for videos and classes
    kept = non_overlapping(prepared.predicted)
    metrics = {}
    for threshold in task.tiou_thresholds:
        found = sum(
            count_true_positives(
                prepared.truth.take(np.flatnonzero(prepared.truth.video == video)),
                kept.take(np.flatnonzero(kept.video == video)),
                threshold,
            )
            for video in range(len(prepared.videos))
        )
        metrics[f"F1@{100 * threshold:g}"] = Metric(2 * found / (len(kept) + len(prepared.truth)))
    return Scores(
        split=task.split,
        vocabulary=prepared.vocabulary,
        tiou_thresholds=task.tiou_thresholds,
        mean_average_precision=(),  # none: it ranks nothing
        per_class={},
        coverage=prepared.coverage,
        metrics=metrics,
    )


def non_overlapping(detections: ScoredSegments) -> ScoredSegments:
    """Return the detections with the highest scores that do not overlap, in order of time."""
    kept: list[int] = []
    for row in np.argsort(-detections.score, kind="stable"):
        if detections.score[row] < MIN_SCORE:
            break
        same = np.array([other for other in kept if detections.video[other] == detections.video[row]], np.int64)
        starts, ends = detections.start_s[same], detections.end_s[same]
        if not np.any((detections.start_s[row] < ends) & (detections.end_s[row] > starts)):
            kept.append(row)
    return detections.take(np.array(sorted(kept, key=lambda row: detections.start_s[row]), np.int64))


def count_true_positives(truth: Segments, predicted: Segments, threshold: float) -> int:
    """Return how many segments of a video are found: each by the first prediction that overlaps it most."""
    found = np.zeros(len(truth), bool)
    for start, end, label in zip(predicted.start_s, predicted.end_s, predicted.label, strict=True):
        tiou = np.where(truth.label == label, temporal_iou(truth.start_s, truth.end_s, start, end), 0.0)
        if len(truth) and tiou.max() >= threshold:
            found[tiou.argmax()] = True
    return int(found.sum())


PROTOCOL = Protocol(
    name="segmental-f1",
    summary="segmental F1@10, 25 and 50, as in action segmentation",
    score=score,
    tiou=(0.1, 0.25, 0.5),
)
