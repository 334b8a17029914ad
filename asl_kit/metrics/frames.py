"""Average precision over moments of videos: whether the class is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def frame_average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """Return the average precision of one class over moments: the mean of the precision at each positive.

    Not interpolated. Equal scores stay in the order in which they are given.

    Parameters
    ----------
    scores : (N,) float
        A higher one is surer; -inf for a moment of which nothing is said.
    targets : (N,) bool
        Whether the class is there.

    Returns
    -------
    float
        In [0, 1]; NaN without a positive.

    References
    ----------
    Charades, ``Charades_v1_localize.m``; MultiTHUMOS and others, ``apmeter.py`` of
    piergiaj/super-events-cvpr18. Both give the same number, in double precision.
    """
    targets = np.asarray(targets, bool)
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    rank = np.flatnonzero(targets[order]) + 1
    if not len(rank):
        return float("nan")
    return float(np.sum(np.arange(1, len(rank) + 1) / rank) / len(rank))


def highest_scores(
    begin: NDArray[np.integer], end: NDArray[np.integer], score: NDArray[np.float64], length: int
) -> NDArray[np.float64]:
    """Return at each of `length` moments the highest score of the detections there, -inf where there is none.

    Parameters
    ----------
    begin, end : (K,) int
        Detection k is there at moments [begin[k], end[k]).
    score : (K,) float
        Its score.
    length : int
        Number of moments.
    """
    result = np.full(length, -np.inf)
    order = np.argsort(score)  # the highest is written last, and stays
    for first, last, value in zip(begin[order].tolist(), end[order].tolist(), score[order].tolist(), strict=True):
        result[first:last] = value
    return result
