from __future__ import annotations

import math

import numpy as np
import pytest

from asl_kit.metrics import frame_average_precision, highest_scores


@pytest.mark.parametrize(
    ("scores", "targets", "expected"),
    [
        pytest.param([0.9, 0.1], [True, False], 1.0, id="right"),
        pytest.param([0.9, 0.1], [False, True], 0.5, id="second"),
        pytest.param([0.9, 0.5, 0.1], [True, False, True], (1 + 2 / 3) / 2, id="first and third: not interpolated"),
        pytest.param([-math.inf, 0.1], [True, False], 0.5, id="nothing said"),
    ],
)
def test_frame_average_precision(scores: list[float], targets: list[bool], expected: float) -> None:
    assert frame_average_precision(scores, targets) == pytest.approx(expected, abs=1e-15)


def test_equal_scores_stay_in_order() -> None:
    # Many: of few, every sort of NumPy's keeps the order.
    targets = np.arange(1000) >= 999
    assert frame_average_precision(np.tile([0.5, 0.25], 500), targets) == pytest.approx(1 / 1000, abs=1e-15)
    assert frame_average_precision(np.zeros(1000), targets[::-1]) == 1


def test_without_a_positive_there_is_no_precision() -> None:
    assert math.isnan(frame_average_precision([0.5, 0.1], [False, False]))


def test_the_highest_score_stays_whatever_the_order() -> None:
    begin, end = np.array([0, 1, 3]), np.array([2, 3, 4])
    assert highest_scores(begin, end, np.array([0.2, 0.7, 0.4]), 5).tolist() == [0.2, 0.7, 0.7, 0.4, -math.inf]
    assert highest_scores(begin, end, np.array([0.7, 0.2, 0.4]), 5).tolist() == [0.7, 0.7, 0.2, 0.4, -math.inf]
