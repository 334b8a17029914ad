"""Average precision as in THUMOS14's official tool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.matching import check_thresholds, match_in_order, order_by_score, overlapping_pairs
from asl_kit.metrics.segments import ScoredSegments, Segments, hull_iou

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

    In order of start, then of end, each ground-truth segment matches the free detection of
    its video and class with the highest tIoU (then the highest score), if the
    tIoU is *above* the threshold. Of the other detections, those that overlap an ignored
    segment do not count, and the rest are false positives. AP is the mean, over the ground truth, of
    the precision at each match; it is not interpolated. Equal scores are ordered by video, start
    and end.

    Parameters
    ----------
    truth : Segments
        Ground truth.
    detections : ScoredSegments
        Detections in the same videos.
    ignored : Segments
        Spans of the same videos ("Ambiguous") in which a detection is not a false positive; labels are not used.
    num_classes : int
        All labels are in [0, num_classes).
    tiou_thresholds : sequence of float
        Each in (0, 1].

    Returns
    -------
    (num_thresholds, num_classes) float
        NaN for a class without ground truth, which the tool does not accept.

    References
    ----------
    THUMOS14 evaluation kit of 2015-09-30, ``TH14evalDet.m``.
    """
    thresholds = check_thresholds(tiou_thresholds)
    order = order_by_score(detections, detections.label)
    ordered = detections.take(order)
    in_time = np.lexsort((truth.end_s, truth.start_s))
    pairs = overlapping_pairs(truth.take(in_time), ordered, float(thresholds.min()), overlap=hull_iou)
    preference = np.lexsort((pairs.detection, -pairs.tiou, pairs.truth))  # of segments for detections, best first
    detection, tiou = pairs.detection[preference], pairs.tiou[preference]
    start = np.flatnonzero(np.diff(pairs.truth[preference], prepend=-1))

    touched = np.zeros(len(detections), bool)
    touched[overlapping_pairs(_one_class(ignored), _one_class(ordered), ANY_OVERLAP).detection] = True
    first = np.searchsorted(ordered.label, np.arange(num_classes + 1))
    num_truth = np.bincount(truth.label)
    result = np.full((len(thresholds), num_classes), np.nan)
    for row, threshold in zip(result, thresholds, strict=True):
        _, taken = match_in_order(detection, tiou > threshold, start, len(detections))
        hit = np.zeros(len(detections), bool)
        hit[taken] = True
        counted = np.concatenate([[0], np.cumsum(hit | ~touched)])
        for label in np.flatnonzero(num_truth):
            mine = slice(first[label], first[label + 1])
            rank = (counted[1:][mine] - counted[first[label]])[hit[mine]]
            row[label] = np.sum(np.arange(1, len(rank) + 1) / rank) / num_truth[label]
    return result


def _one_class(segments: Segments) -> Segments:
    return Segments(segments.video, segments.start_s, segments.end_s, np.zeros(len(segments), np.int64))
