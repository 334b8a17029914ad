"""The predicted class of each ground-truth segment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics import ScoredSegments, Segments
from asl_kit.metrics.matching import match_detections


def confusion_matrix(
    truth: Segments, predicted: ScoredSegments, *, num_classes: int, tiou_threshold: float
) -> NDArray[np.int64]:
    """Count ground-truth segments by their class and the class of the prediction that is matched to them.

    Predictions are matched to segments as for the score (`match_detections`), but regardless of
    class: in order of descending score, each takes the unmatched segment that it overlaps most.

    Parameters
    ----------
    truth : Segments
        Ground truth.
    predicted : ScoredSegments
        Predictions, of the same videos and classes.
    num_classes : int
        All labels are in [0, num_classes).
    tiou_threshold : float
        Lowest tIoU of a match, in (0, 1].

    Returns
    -------
    (num_classes, num_classes + 1) int
        Row: true class. Column: predicted class, or in the last column missed. A row sums to the
        segments of its class.
    """
    matching = match_detections(
        replace(truth, label=np.zeros_like(truth.label)),
        replace(predicted, label=np.zeros_like(predicted.label)),
        num_classes=1,
        tiou_thresholds=[tiou_threshold],
    )
    column = np.full(len(truth), num_classes, np.int64)
    column[matching.truth[0]] = predicted.label[matching.order[matching.position[0]]]
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    np.add.at(matrix, (truth.label, column), 1)
    return matrix


def best_score(truth: Segments, predicted: ScoredSegments, *, num_classes: int, tiou_threshold: float) -> float:
    """Return the score threshold with the highest F1 over all classes; 0 without predictions."""
    if not len(predicted):
        return 0.0
    matching = match_detections(truth, predicted, num_classes=num_classes, tiou_thresholds=[tiou_threshold])
    right = np.zeros(len(predicted), np.int64)
    right[matching.order[matching.position[0]]] = 1
    order = np.argsort(-predicted.score, kind="stable")
    score = predicted.score[order]
    f1 = 2 * np.cumsum(right[order]) / (np.arange(1, len(order) + 1) + len(truth))
    f1[:-1][score[:-1] == score[1:]] = -1  # equal scores are not separated
    return float(score[np.argmax(f1)])
