"""Recall of the best detections of each video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.matching import check_thresholds, order_by_score, overlapping_pairs, rank_within_groups
from asl_kit.metrics.segments import ScoredSegments, Segments


def recall_at_top(
    truth: Segments, detections: ScoredSegments, *, per_video: int, tiou_thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Return the share of the ground truth that one of the best detections of its video matches.

    A segment is matched at a threshold if one of the `per_video` detections with the highest scores in
    its video, over all classes together, has its class and a tIoU with it at or above the
    threshold. One detection may match several segments. All segments have the same weight.

    Parameters
    ----------
    truth : Segments
        Ground truth.
    detections : ScoredSegments
        Detections in the same videos. Equal scores are ordered by class, start and end.
    per_video : int
        Number of detections of each video that count; 1 or more.
    tiou_thresholds : sequence of float
        Each in (0, 1].

    Returns
    -------
    (num_thresholds,) float
        In [0, 1]; NaN without ground truth.

    Raises
    ------
    ValueError
        If `per_video` or a threshold is out of range.
    """
    thresholds = check_thresholds(tiou_thresholds)
    if per_video < 1:
        raise ValueError(f"per_video must be 1 or more, got {per_video}")
    if not len(truth):
        return np.full(len(thresholds), np.nan)
    order = order_by_score(detections, detections.video)
    rank = rank_within_groups(detections.video[order])
    pairs = overlapping_pairs(truth, detections.take(order[rank < per_video]), float(thresholds.min()))
    best = np.zeros(len(truth))
    np.maximum.at(best, pairs.truth, pairs.tiou)
    return np.array([np.mean(best >= threshold) for threshold in thresholds])
