"""Recall at k times the ground truth, "recall@kx": the metric of Moment Queries, in its two variants.

For each video and class with n segments, the first k * n detections of that class in that video
count. A segment is found if one of them overlaps it enough, and one detection may find several. The
challenge and ActionFormer differ in the order of the detections, in whether a tIoU equal to the
threshold is enough, and in what is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.matching import (
    check_labels,
    check_thresholds,
    number_groups,
    order_by_score,
    overlapping_pairs,
    rank_within_groups,
)
from asl_kit.metrics.segments import ScoredSegments, Segments, hull_iou


def pooled_recall_at_multiples(
    truth: Segments, detections: ScoredSegments, *, multiples: Sequence[int], tiou_thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Return recall@kx over all segments with equal weight, as in the Ego4D Moment Queries challenge.

    Detections count in the given order, whatever their scores. A tIoU must
    exceed the threshold, and is computed by `hull_iou`.

    Parameters
    ----------
    truth : Segments
        Ground truth, duplicates included.
    detections : ScoredSegments
        Detections in the same videos, in order within each video.
    multiples : sequence of int
        Each k, 1 or more.
    tiou_thresholds : sequence of float
        Each in (0, 1].

    Returns
    -------
    (num_thresholds, num_multiples) float
        In [0, 1]; NaN without ground truth.

    Raises
    ------
    ValueError
        If a multiple or a threshold is out of range.

    References
    ----------
    EGO4D/episodic-memory, ``MQ/Evaluation/ego4d/get_retrieval_performance.py``.
    """
    thresholds, counts_at = check_thresholds(tiou_thresholds), check_multiples(multiples)
    order = np.argsort(number_groups(truth, detections)[1], kind="stable")
    first, multiple = _first_of_groups(truth, detections.take(order), int(counts_at.max()))
    pairs = overlapping_pairs(truth, first, float(thresholds.min()) / 2)  # half: rounding errors exclude none
    segments, found_by = truth.take(pairs.truth), first.take(pairs.detection)
    tiou = hull_iou(found_by.start_s, found_by.end_s, segments.start_s, segments.end_s)
    found = _found(pairs.truth, multiple[pairs.detection], tiou > thresholds[:, None], counts_at, len(truth))
    return found.mean(axis=2) if len(truth) else np.full(found.shape[:2], np.nan)


def class_recall_at_multiples(
    truth: Segments,
    detections: ScoredSegments,
    *,
    num_classes: int,
    multiples: Sequence[int],
    tiou_thresholds: Sequence[float],
) -> NDArray[np.float64]:
    """Return the recall@kx of each class, as ActionFormer computes it.

    Detections count in order of decreasing score, then of start and end. A tIoU equal to the threshold
    is enough. ActionFormer reports the mean over the classes with ground truth, after it has removed
    duplicates.

    Parameters
    ----------
    truth : Segments
        Ground truth, duplicates included; `drop_duplicates` finds them.
    detections : ScoredSegments
        Detections in the same videos.
    num_classes : int
        All labels are in [0, num_classes).
    multiples : sequence of int
        Each k, 1 or more.
    tiou_thresholds : sequence of float
        Each in (0, 1].

    Returns
    -------
    (num_thresholds, num_multiples, num_classes) float
        In [0, 1]; NaN for a class without ground truth.

    Raises
    ------
    ValueError
        If a multiple, a threshold or a label is out of range.

    References
    ----------
    ActionFormer, ``libs/utils/metrics.py``, ``compute_topkx_recall_detection``.
    """
    thresholds, counts_at = check_thresholds(tiou_thresholds), check_multiples(multiples)
    check_labels(truth, detections, num_classes)
    order = order_by_score(detections, number_groups(truth, detections)[1])
    first, multiple = _first_of_groups(truth, detections.take(order), int(counts_at.max()))
    pairs = overlapping_pairs(truth, first, float(thresholds.min()))
    found = _found(pairs.truth, multiple[pairs.detection], pairs.tiou >= thresholds[:, None], counts_at, len(truth))
    counts = np.zeros((num_classes, *found.shape[:2]))
    np.add.at(counts, truth.label, np.moveaxis(found, 2, 0))
    with np.errstate(invalid="ignore"):  # 0 / 0: a class without ground truth
        return np.moveaxis(counts, 0, 2) / np.bincount(truth.label, minlength=num_classes)


def check_multiples(multiples: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the multiples as an array (K,); ValueError if there is none, or one is not an integer of 1 or more."""
    values = np.asarray(multiples)
    if values.ndim != 1 or not len(values) or not np.issubdtype(values.dtype, np.integer) or values.min() < 1:
        raise ValueError(f"multiples must be one or more whole numbers from 1, got {list(multiples)}")
    return values.astype(np.int64)


def _first_of_groups(
    truth: Segments, detections: ScoredSegments, max_multiple: int
) -> tuple[ScoredSegments, NDArray[np.int64]]:
    """Return the detections that can count, and the smallest multiple at which each of them counts.

    `detections` are in order of group (video and class) and, within a group, of rank. Those at ranks
    [(k - 1) * n, k * n) of a group with n segments count from multiple k on.
    """
    truth_group, group = number_groups(truth, detections)
    rank = rank_within_groups(group)
    groups, sizes = np.unique(truth_group, return_counts=True)
    if not len(groups):
        return detections.take(np.empty(0, np.int64)), np.empty(0, np.int64)
    place = np.minimum(np.searchsorted(groups, group), len(groups) - 1)
    rows = np.flatnonzero((groups[place] == group) & (rank < max_multiple * sizes[place]))
    return detections.take(rows), rank[rows] // sizes[place[rows]] + 1


def _found(
    segment: NDArray[np.int64],
    multiple: NDArray[np.int64],
    is_enough: NDArray[np.bool_],
    multiples: NDArray[np.int64],
    num_segments: int,
) -> NDArray[np.bool_]:
    """Return whether each segment is found, (num_thresholds, num_multiples, num_segments).

    The arguments describe pairs (P,) of a segment and a detection: the segment, the smallest multiple at which the
    detection counts, and whether they overlap enough at each threshold (num_thresholds, P).
    """
    least = np.full((len(is_enough), num_segments), np.iinfo(np.int64).max)
    for row, enough in zip(least, is_enough, strict=True):
        np.minimum.at(row, segment[enough], multiple[enough])
    return least[:, None, :] <= multiples[:, None]
