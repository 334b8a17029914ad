"""The area under interpolated precision for many variants of one ranking at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def interpolated_area(
    found: NDArray[np.float64],
    rank: NDArray[np.float64],
    num_truth: NDArray[np.float64],
    *,
    normalize_to: float | None = None,
) -> NDArray[np.float64]:
    """Return the average precision of one class in S variants of its ranking.

    A variant gives each prediction a weight: the number of times that it occurs, or 0 if it is left out. A
    bootstrap resample is a variant, and so is the ranking without one kind of error. If all
    weights are 1, the result is that of `average_precision`. A weight above 1 has the same effect as that many
    copies of the prediction, each with its own ground-truth segment.

    Parameters
    ----------
    found : (K, S) float
        Weight of each true positive, in order of decreasing score.
    rank : (K, S) float
        Total weight of the predictions up to and including each true positive.
    num_truth : (S,) float
        Weight of the ground-truth segments.
    normalize_to : float, optional
        Precision as if the class had this number N of ground-truth segments: R N / (R N + false
        positives) with recall R. It makes classes and subsets of different size comparable (AP_N of
        Hoiem et al., ECCV 2012, which DETAD uses). Default: the true number.

    Returns
    -------
    (S,) float
        NaN without ground truth.
    """
    found_so_far = np.cumsum(found, axis=0)
    with np.errstate(invalid="ignore"):
        expected = found_so_far if normalize_to is None else found_so_far / num_truth * normalize_to
        # This is 0 / 0 only where the total weight is 0 and the recall is 0.
        precision = np.nan_to_num(expected / (expected + (rank - found_so_far)))
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        area: NDArray[np.float64] = np.sum(found * envelope, axis=0) / num_truth
    return area
