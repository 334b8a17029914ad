"""Average precision over moments of videos: whether a class is present."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def frame_average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """Return the average precision of one class over moments: the mean of the precision at each positive.

    Precision is not interpolated. Equal scores keep their order.

    Parameters
    ----------
    scores : (N,) float
        Confidence; -inf for a moment without a prediction.
    targets : (N,) bool
        Whether the class is present.

    Returns
    -------
    float
        In [0, 1]; NaN without a positive.

    References
    ----------
    Charades, ``Charades_v1_localize.m``; MultiTHUMOS and others, ``apmeter.py`` of
    piergiaj/super-events-cvpr18. Both give the same result in double precision.
    """
    targets = np.asarray(targets, bool)
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    rank = np.flatnonzero(targets[order]) + 1
    if not len(rank):
        return float("nan")
    return float(np.sum(np.arange(1, len(rank) + 1) / rank) / len(rank))


def highest_scores(
    start: NDArray[np.integer], end: NDArray[np.integer], score: NDArray[np.float64], length: int
) -> NDArray[np.float64]:
    """Return the highest score of the detections at each moment (length,), or -inf without a detection.

    Parameters
    ----------
    start, end : (K,) int
        Detection k is present at moments [start[k], end[k]).
    score : (K,) float
        Scores of the detections.
    length : int
        Number of moments.
    """
    result = np.full(length, -np.inf)
    order = np.argsort(score)  # the highest score is written last
    for first, last, value in zip(start[order].tolist(), end[order].tolist(), score[order].tolist(), strict=True):
        result[first:last] = value
    return result
