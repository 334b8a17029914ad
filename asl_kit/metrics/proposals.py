"""Recall of proposals as a function of their number, as in ActivityNet's official script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.matching import check_thresholds, order_by_score, overlapping_pairs, rank_within_groups
from asl_kit.metrics.segments import ScoredSegments, Segments


def proposal_recall(
    truth: Segments, proposals: ScoredSegments, *, tiou_thresholds: Sequence[float], max_per_video: int = 100
) -> NDArray[np.float64]:
    """Return the recall at an average number (AN) of 1 to `max_per_video` proposals per video.

    Classes are ignored. The best proposals of each video count, in proportion to its number of
    proposals: their average over the videos with ground truth is AN.
    One proposal may match several segments.

    Parameters
    ----------
    truth : Segments
        Ground truth.
    proposals : ScoredSegments
        Proposals in the same videos, including those without ground truth. Equal scores are
        ordered by class, start and end.
    tiou_thresholds : sequence of float
        Each in (0, 1]; a tIoU equal to the threshold counts.
    max_per_video : int
        The highest average number; 1 or more.

    Returns
    -------
    (num_thresholds, max_per_video) float
        Recall at AN = 1, 2, ...; NaN without ground truth.

    References
    ----------
    ActivityNet, ``Evaluation/eval_proposal.py``, ``average_recall_vs_avg_nr_proposals``, at
    `max_per_video` points (the script always uses 100).
    """
    thresholds = check_thresholds(tiou_thresholds)
    if max_per_video < 1:
        raise ValueError(f"max_per_video must be 1 or more, got {max_per_video}")
    if not len(truth):
        return np.full((len(thresholds), max_per_video), np.nan)
    order = order_by_score(proposals, proposals.video)
    rank = rank_within_groups(proposals.video[order])
    num_videos = int(max(truth.video.max(), proposals.video.max(initial=0))) + 1
    has_truth = np.bincount(truth.video, minlength=num_videos) > 0
    found = np.bincount(proposals.video, minlength=num_videos) * has_truth
    wanted = float(max_per_video) * float(has_truth.sum())
    # the official arithmetic, operation by operation: the results are truncated to integers
    kept = np.minimum((found * (wanted / max(len(proposals), 1))).astype(np.int64), found)
    share = np.arange(1, max_per_video + 1) / float(max_per_video) * (wanted / max(int(kept.sum()), 1))
    allowed = np.minimum((kept[:, None] * share).astype(np.int64), kept[:, None])  # (num_videos, max_per_video)

    zero = np.zeros_like
    single = Segments(truth.video, truth.start_s, truth.end_s, zero(truth.label))
    within = proposals.take(order)
    within = ScoredSegments(within.video, within.start_s, within.end_s, zero(within.label), within.score)
    pairs = overlapping_pairs(single, within, float(thresholds.min()))
    result = np.empty((len(thresholds), max_per_video))
    for row, threshold in zip(result, thresholds, strict=True):
        enough = pairs.tiou >= threshold
        first = np.full(len(truth), len(order))  # rank of the best proposal that matches the segment
        np.minimum.at(first, pairs.truth[enough], rank[pairs.detection[enough]])
        row[:] = np.mean(first[:, None] < allowed[truth.video], axis=0)
    return result
