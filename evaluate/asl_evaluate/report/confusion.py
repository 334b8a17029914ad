"""Which class the surest prediction at the place of each ground-truth segment has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asl_kit.metrics import ScoredSegments, Segments
from asl_kit.metrics.matching import match_detections


def confusion_matrix(
    truth: Segments, predicted: ScoredSegments, *, num_classes: int, tiou_threshold: float
) -> NDArray[np.int64]:
    """Count ground-truth segments by their class and by that of the prediction that finds their place.

    Predictions are matched to segments as for the score (`match_detections`), but whatever
    their class: in order of falling score, each takes the free segment that it overlaps most.

    Parameters
    ----------
    truth : Segments
        Ground truth.
    predicted : ScoredSegments
        Predictions, of the same videos and classes.
    num_classes : int
        All labels are in [0, num_classes).
    tiou_threshold : float
        The least tIoU of prediction and segment, in (0, 1].

    Returns
    -------
    (num_classes, num_classes + 1) int
        Row: true class. Column: predicted class; the last: found by none. A row adds up to the
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
    """Return the score from which on predictions have the highest F1, all classes together; 0 without any."""
    if not len(predicted):
        return 0.0
    matching = match_detections(truth, predicted, num_classes=num_classes, tiou_thresholds=[tiou_threshold])
    right = np.zeros(len(predicted), np.int64)
    right[matching.order[matching.position[0]]] = 1
    order = np.argsort(-predicted.score, kind="stable")
    score = predicted.score[order]
    f1 = 2 * np.cumsum(right[order]) / (np.arange(1, len(order) + 1) + len(truth))
    f1[:-1][score[:-1] == score[1:]] = -1  # equal scores come together
    return float(score[np.argmax(f1)])
