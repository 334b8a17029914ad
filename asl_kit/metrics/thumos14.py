"""Average precision as THUMOS14's official tool computes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.matching import check_thresholds, order_by_score, overlapping_pairs, serve_in_turn
from asl_kit.metrics.segments import ScoredSegments, Segments

ANY_OVERLAP = float(np.nextafter(0, 1))


def thumos14_average_precision(
    truth: Segments,
    detections: ScoredSegments,
    ignored: Segments,
    *,
    num_classes: int,
    tiou_thresholds: Sequence[float],
) -> NDArray[np.float64]:
    """Return the average precision per tIoU threshold and class, as THUMOS14's official tool.

    Each ground-truth segment in turn, by its start (then its end), takes the free detection of
    its video and class that overlaps it most (of equal ones that of the highest score), if the
    tIoU is *above* the threshold. Of the detections that are left, those that touch an ignored
    segment count for nothing, and the others as wrong. AP is the mean, over the ground truth, of
    the precision at each hit; it is not interpolated. Equal scores are ordered by video, start
    and end.

    Parameters
    ----------
    truth : Segments
        Ground truth.
    detections : ScoredSegments
        Detections in the same videos.
    ignored : Segments
        Spans of the same videos on which a detection is not wrong ("Ambiguous"); labels do not matter.
    num_classes : int
        All labels are in [0, num_classes).
    tiou_thresholds : sequence of float
        Each in (0, 1].

    Returns
    -------
    (num_thresholds, num_classes) float
        NaN for a class without ground truth, which the tool refuses.

    References
    ----------
    THUMOS14 evaluation kit of 2015-09-30, ``TH14evalDet.m``.
    """
    thresholds = check_thresholds(tiou_thresholds)
    order = order_by_score(detections, detections.label)
    ordered = detections.take(order)
    in_time = np.lexsort((truth.end_s, truth.start_s))
    pairs = overlapping_pairs(truth.take(in_time), ordered, float(thresholds.min()), overlap=_overlap)
    wish = np.lexsort((pairs.detection, -pairs.tiou, pairs.truth))  # a segment wishes for detections, best first
    detection, tiou = pairs.detection[wish], pairs.tiou[wish]
    begin = np.flatnonzero(np.diff(pairs.truth[wish], prepend=-1))

    touched = np.zeros(len(detections), bool)
    touched[overlapping_pairs(_one_class(ignored), _one_class(ordered), ANY_OVERLAP).detection] = True
    first = np.searchsorted(ordered.label, np.arange(num_classes + 1))
    num_truth = np.bincount(truth.label)
    result = np.full((len(thresholds), num_classes), np.nan)
    for row, threshold in zip(result, thresholds, strict=True):
        _, taken = serve_in_turn(detection, tiou > threshold, begin, len(detections))
        hit = np.zeros(len(detections), bool)
        hit[taken] = True
        counted = np.concatenate([[0], np.cumsum(hit | ~touched)])
        for label in np.flatnonzero(num_truth):
            mine = slice(first[label], first[label + 1])
            rank = (counted[1:][mine] - counted[first[label]])[hit[mine]]
            row[label] = np.sum(np.arange(1, len(rank) + 1) / rank) / num_truth[label]
    return result


def _overlap(
    start_a_s: NDArray[np.float64],
    end_a_s: NDArray[np.float64],
    start_b_s: NDArray[np.float64],
    end_b_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the tIoU by the tool's own arithmetic: the shared time over that from first start to last end."""
    with np.errstate(over="ignore"):
        shared_s = np.minimum(end_a_s, end_b_s) - np.maximum(start_a_s, start_b_s)
        span_s = np.maximum(end_a_s, end_b_s) - np.minimum(start_a_s, start_b_s)
    result = np.zeros_like(shared_s)
    np.divide(shared_s, span_s, out=result, where=(shared_s > 0) & np.isfinite(span_s))
    return result


def _one_class(segments: Segments) -> Segments:
    return Segments(segments.video, segments.start_s, segments.end_s, np.zeros(len(segments), np.int64))
