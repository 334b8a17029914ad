"""ActivityNet's greedy matching of detections and ground-truth segments, for all classes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.segments import ScoredSegments, Segments, temporal_iou

PAIRS_AT_ONCE = 1 << 18  # limits memory, and keeps a block of pairs in the CPU cache


@dataclass(frozen=True, eq=False)
class Matching:
    """Detections in order of class and decreasing score, and the segments that they match.

    Parameters
    ----------
    order : (N,) int
        Row of each detection: by class, and within a class by decreasing score.
    first : (num_classes + 1,) int
        The detections of class c are ``order[first[c]:first[c + 1]]``.
    position : tuple of (K,) int
        For each tIoU threshold, the positions in `order` of true positives, increasing.
    truth : tuple of (K,) int
        For each tIoU threshold, the ground-truth row that each of them matches.
    """

    order: NDArray[np.int64]
    first: NDArray[np.int64]
    position: tuple[NDArray[np.int64], ...]
    truth: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Detections and ground-truth segments of the same video and class that overlap, as columns (K,).

    ``detection`` is increasing, and ``truth`` is increasing within a detection.
    """

    detection: NDArray[np.int64]
    truth: NDArray[np.int64]
    tiou: NDArray[np.float64]


def check_thresholds(tiou_thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return the thresholds as an array (T,); ValueError if there is none, or one is outside (0, 1]."""
    thresholds = np.asarray(tiou_thresholds, np.float64)
    if thresholds.ndim != 1 or not len(thresholds) or not bool(np.all((thresholds > 0) & (thresholds <= 1))):
        raise ValueError(f"tIoU thresholds must be one or more numbers in (0, 1], got {list(tiou_thresholds)}")
    return thresholds


def check_labels(truth: Segments, detections: Segments, num_classes: int) -> None:
    """Raise ValueError unless all labels are in [0, num_classes)."""
    for name, labels in (("truth", truth.label), ("detections", detections.label)):
        if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
            raise ValueError(f"a label of {name} is outside [0, {num_classes})")


def order_by_score(detections: ScoredSegments, group: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the rows in order of group and, within a group, of decreasing score.

    Rows with equal scores are in order of video, class, start and end, so that the result does not depend on the
    order of the rows. (The official script uses an unstable sort.)
    """
    order = np.argsort(-detections.score)
    score = detections.score[order]
    equal = score[1:] == score[:-1]
    if equal.any():
        tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
        rows = order[tied]
        by = (detections.end_s, detections.start_s, detections.label, detections.video)
        order[tied] = rows[np.lexsort((*(column[rows] for column in by), -score[tied]))]
    return order[np.argsort(group[order], kind="stable")]


def rank_within_groups(group: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the position of each row within its group, from 0, for groups in increasing order."""
    return np.arange(len(group)) - np.searchsorted(group, group)


def number_groups(truth: Segments, detections: Segments) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a number for the pair of video and class of each segment, and of each detection."""
    num_classes = int(max(truth.label.max(initial=-1), detections.label.max(initial=-1))) + 1
    first, second = (rows.video.astype(np.int64) * num_classes + rows.label for rows in (truth, detections))
    return first, second


Overlap = Callable[
    [NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]
]


def overlapping_pairs(
    truth: Segments, detections: Segments, min_tiou: float, *, overlap: Overlap = temporal_iou
) -> Pairs:
    """Return all pairs of the same video and class with a tIoU of at least `min_tiou`."""
    truth_group, detection_group = number_groups(truth, detections)
    truth_rows = np.argsort(truth_group, kind="stable")
    group, first, count = np.unique(truth_group[truth_rows], return_index=True, return_counts=True)
    if not len(group) or not len(detections):
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

    place = np.minimum(np.searchsorted(group, detection_group), len(group) - 1)
    candidates = np.flatnonzero(group[place] == detection_group)  # the others have no segment to overlap
    place = place[candidates]
    num_pairs = np.cumsum(count[place])
    blocks = np.searchsorted(num_pairs, np.arange(PAIRS_AT_ONCE, num_pairs[-1:].sum(), PAIRS_AT_ONCE))

    kept: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for rows, places in zip(np.split(candidates, blocks), np.split(place, blocks), strict=True):
        size = count[places]
        detection = np.repeat(rows, size)
        within = np.arange(len(detection)) - np.repeat(np.cumsum(size) - size, size)
        segment = truth_rows[np.repeat(first[places], size) + within]
        tiou = overlap(
            detections.start_s[detection], detections.end_s[detection], truth.start_s[segment], truth.end_s[segment]
        )
        high = tiou >= min_tiou
        kept.append((detection[high], segment[high], tiou[high]))
    return Pairs(*(np.concatenate(column) for column in zip(*kept, strict=True)))


def match_detections(
    truth: Segments, detections: ScoredSegments, *, num_classes: int, tiou_thresholds: Sequence[float]
) -> Matching:
    """Match detections to ground truth greedily, as ActivityNet's official script does.

    In order of decreasing score, each detection matches, among the segments of its video and class
    that are still free, the one with the highest tIoU, if that is not below the threshold. Among
    segments with equal tIoU it matches the one that starts last, then the one that ends last, like
    the reversed sort of the official script for up to 16 segments in order of time.

    Parameters
    ----------
    truth : Segments
        Ground truth, M rows.
    detections : ScoredSegments
        Detections, N rows, of the same videos and classes.
    num_classes : int
        All labels are in [0, num_classes).
    tiou_thresholds : sequence of float
        Each in (0, 1].

    Returns
    -------
    Matching
        It does not depend on the order of the rows, except for equal rows.

    Raises
    ------
    ValueError
        If a label or a threshold is out of range.
    """
    thresholds = check_thresholds(tiou_thresholds)
    check_labels(truth, detections, num_classes)
    order = order_by_score(detections, detections.label)
    first = np.searchsorted(detections.label[order], np.arange(num_classes + 1))
    late_first = np.lexsort((-truth.end_s, -truth.start_s))  # a stable sort by tIoU then breaks ties as documented
    pairs = overlapping_pairs(truth.take(late_first), detections.take(order), float(thresholds.min()))

    preference = np.lexsort((pairs.truth, -pairs.tiou, pairs.detection))
    segment, tiou = pairs.truth[preference], pairs.tiou[preference]
    start = np.flatnonzero(np.diff(pairs.detection, prepend=-1))
    position = pairs.detection[start]

    found = [match_in_order(segment, tiou >= threshold, start, len(truth)) for threshold in thresholds]
    return Matching(
        order=order,
        first=first,
        position=tuple(position[winner] for winner, _ in found),
        truth=tuple(late_first[taken] for _, taken in found),
    )


def match_in_order(
    segment: NDArray[np.int64], allowed: NDArray[np.bool_], start: NDArray[np.int64], num_segments: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match proposers, one after another, to their first allowed preference that is free; return both as columns.

    Proposer i prefers ``segment[start[i]:start[i + 1]]`` in this order; allowed segments come first. Instead of
    one proposer after another, all propose at once, and a segment keeps the first in order and
    rejects the others (deferred acceptance, Gale and Shapley 1962). Because all
    segments rank the proposers alike, there is one stable result: that of the sequential matching.
    """
    num_proposers = len(start)
    if not num_proposers:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    end = start + np.add.reduceat(allowed, start)
    at = start.copy()
    holder = np.full(num_segments, num_proposers, np.int64)  # num_proposers: free
    asking = np.flatnonzero(at < end)
    while len(asking):
        wanted = segment[at[asking]]
        before = holder[wanted]
        np.minimum.at(holder, wanted, asking)
        after = holder[wanted]
        displaced = np.unique(before[(before != after) & (before < num_proposers)])
        rejected = np.concatenate([asking[after != asking], displaced])
        at[rejected] += 1
        asking = rejected[at[rejected] < end[rejected]]
    matched = np.flatnonzero(holder < num_proposers)
    by_proposer = matched[np.argsort(holder[matched])]
    return holder[by_proposer], by_proposer
