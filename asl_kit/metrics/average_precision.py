"""Interpolated average precision, equal to ActivityNet's official script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics.matching import match_detections
from asl_kit.metrics.segments import ScoredSegments, Segments


def average_precision(
    truth: Segments, detections: ScoredSegments, *, num_classes: int, tiou_thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Return the average precision per tIoU threshold and class, as ActivityNet's official script.

    Precision is interpolated as in VOC 2011: at each recall, the highest precision at that
    recall or above. Matching and the order of equal scores: `match_detections`.

    Parameters
    ----------
    truth : Segments
        Ground truth, duplicates included; `drop_duplicates` finds them.
    detections : ScoredSegments
        Detections in the same videos. A detection in a video without its class is a false positive.
    num_classes : int
        All labels are in [0, num_classes).
    tiou_thresholds : sequence of float
        Each in (0, 1]; a tIoU equal to the threshold is a match.

    Returns
    -------
    (num_thresholds, num_classes) float
        NaN for a class without ground truth, which the official mean excludes (`numpy.nanmean`).
        0 for a class with ground truth and without detections.

    Raises
    ------
    ValueError
        If a label or a threshold is out of range.

    References
    ----------
    ActivityNet, ``Evaluation/eval_detection.py``, ``compute_average_precision_detection``.
    """
    matching = match_detections(truth, detections, num_classes=num_classes, tiou_thresholds=tiou_thresholds)
    num_truth = np.bincount(truth.label, minlength=num_classes)
    result = np.tile(np.where(num_truth > 0, 0.0, np.nan), (len(tiou_thresholds), 1))
    for row, position in zip(result, matching.position, strict=True):
        bounds = np.searchsorted(position, matching.first)
        for label in np.flatnonzero(np.diff(bounds)):
            ranks = position[bounds[label] : bounds[label + 1]] - matching.first[label] + 1
            row[label] = _interpolated(ranks, int(num_truth[label]))
    return result


def _interpolated(ranks: NDArray[np.int64], num_truth: int) -> float:
    """Return the AP of one class from the increasing ranks (1: highest score) of its true positives (K,).

    These are sufficient: recall increases only at true positives, by the same amount, and precision decreases between
    them.
    """
    precision = np.arange(1, len(ranks) + 1) / ranks
    highest_from_here_on = np.maximum.accumulate(precision[::-1])
    return float(np.sum(highest_from_here_on) / num_truth)
