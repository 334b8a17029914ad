"""The area under interpolated precision, of many variants of one ranking at once."""

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

    A variant gives each prediction a weight: how often it occurs, 0 if it is left out. So a
    bootstrap resample is a variant, and so is the ranking without one kind of error. With all
    weights 1 the result is that of `average_precision`. Weights above 1 stand for that many
    copies, each with a ground-truth segment of its own: the result is as if they were written out.

    Parameters
    ----------
    found : (K, S) float
        Weight of each true positive, by falling score.
    rank : (K, S) float
        Weight of all predictions down to and including each true positive.
    num_truth : (S,) float
        Weight of the ground-truth segments.
    normalize_to : float, optional
        Precision as if the class had this many ground-truth segments: R N / (R N + false
        positives) with recall R. Makes classes and subsets of different size comparable (AP_N of
        Hoiem et al., ECCV 2012, that DETAD uses). Default: their true number.

    Returns
    -------
    (S,) float
        NaN where there is no ground truth.
    """
    found_so_far = np.cumsum(found, axis=0)
    with np.errstate(invalid="ignore"):
        expected = found_so_far if normalize_to is None else found_so_far / num_truth * normalize_to
        # Only where the weight so far is 0 is this 0 / 0; nothing is recalled there.
        precision = np.nan_to_num(expected / (expected + (rank - found_so_far)))
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        area: NDArray[np.float64] = np.sum(found * envelope, axis=0) / num_truth
    return area
