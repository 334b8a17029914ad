from __future__ import annotations

import numpy as np
import pytest

from asl_kit.metrics.interpolation import interpolated_area

# Of one class with 3 segments: right, wrong, right, by falling score.
FOUND = np.ones((2, 1))
RANK = np.array([[1.0], [3.0]])


def _area(
    found: np.ndarray, rank: np.ndarray, num_truth: list[float], normalize_to: float | None = None
) -> list[float]:
    area: list[float] = interpolated_area(found, rank, np.array(num_truth), normalize_to=normalize_to).tolist()
    return area


def test_weights_of_one() -> None:
    assert _area(FOUND, RANK, [3]) == pytest.approx([(1 + 2 / 3) / 3])


def test_precision_is_the_highest_at_that_recall_or_above() -> None:
    # wrong, right, right: 1/2, then 2/3, which the first is raised to
    assert _area(FOUND, np.array([[2.0], [3.0]]), [2]) == pytest.approx([2 / 3])


def test_variants_are_apart() -> None:
    found = np.array([[1.0, 1.0, 0.0, 2.0], [1.0, 0.0, 1.0, 1.0]])
    rank = np.array([[1.0, 1.0, 0.0, 2.0], [3.0, 1.0, 2.0, 4.0]])
    # all; the second left out; the first left out; the first twice
    expected = [(1 + 2 / 3) / 2, 1 / 2, 1 / 4, (2 + 3 / 4) / 3]
    assert _area(found, rank, [2, 2, 2, 3]) == pytest.approx(expected)


def test_precision_as_if_there_were_another_number_of_segments() -> None:
    # recall 1/3 and 2/3 of 6 segments are 2 and 4 found, beside 0 and 1 wrong
    assert _area(FOUND, RANK, [3], normalize_to=6) == pytest.approx([(1 + 4 / 5) / 3])
    assert _area(FOUND, RANK, [3], normalize_to=3) == pytest.approx(_area(FOUND, RANK, [3]))


@pytest.mark.parametrize("normalize_to", [None, 6.0])
def test_without_ground_truth_there_is_no_number(normalize_to: float | None) -> None:
    nothing = np.zeros((2, 2))
    found, rank = np.hstack([nothing, FOUND]), np.hstack([nothing, RANK])
    assert np.isnan(_area(found, rank, [0, 4, 3], normalize_to)).tolist() == [True, False, False]


def test_where_nothing_was_predicted_nothing_is_found() -> None:
    assert _area(np.zeros((2, 1)), np.zeros((2, 1)), [4]) == [0]
    assert _area(np.zeros((0, 1)), np.zeros((0, 1)), [4]) == [0]
