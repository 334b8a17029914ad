from __future__ import annotations

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, drop_duplicates, temporal_iou


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param((0, 10), (0, 10), 1.0, id="same"),
        pytest.param((0, 10), (5, 15), 1 / 3, id="half over half"),
        pytest.param((0, 10), (2, 4), 0.2, id="one inside the other"),
        pytest.param((0, 10), (10, 20), 0.0, id="touching"),
        pytest.param((0, 1), (5, 6), 0.0, id="apart"),
        pytest.param((3, 3), (0, 10), 0.0, id="a point inside a segment"),
        pytest.param((3, 3), (3, 3), 0.0, id="the same point twice"),
        pytest.param((3, 3), (8, 8), 0.0, id="two points"),
        pytest.param((-1e308, 1e308), (0, 1e308), 0.0, id="a length beyond all numbers"),
        pytest.param((-1e308, 1e308), (-1e308, 1e308), 0.0, id="both lengths beyond all numbers"),
    ],
)
def test_temporal_iou(a: tuple[float, float], b: tuple[float, float], expected: float) -> None:
    assert temporal_iou(*a, *b) == pytest.approx(expected, abs=1e-15)


def test_temporal_iou_broadcasts() -> None:
    tiou = temporal_iou(np.array([[0.0], [5.0]]), np.array([[10.0], [10.0]]), np.array([0.0, 5.0, 7.5]), 10.0)
    np.testing.assert_allclose(tiou, [[1.0, 0.5, 0.25], [0.5, 1.0, 0.5]])


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        pytest.param([(0, 1.0, 2.0, 0), (0, 1.0, 2.0, 0)], [0], id="the same twice"),
        pytest.param([(0, 1.0, 2.0, 0), (0, 1.0009, 2.0009, 0)], [0], id="within 1 ms"),
        pytest.param([(0, 1.0, 2.0, 0), (0, 1.002, 2.0, 0)], [0, 1], id="start beyond 1 ms"),
        pytest.param([(0, 1.0, 2.0, 0), (0, 1.0, 2.002, 0)], [0, 1], id="end beyond 1 ms"),
        pytest.param([(0, 1.0, 2.0, 0), (0, 1.0, 2.0, 1)], [0, 1], id="another class"),
        pytest.param([(0, 1.0, 2.0, 0), (1, 1.0, 2.0, 0)], [0, 1], id="another video"),
        pytest.param([(0, 1.0, 1.0, 0), (0, 1.0, 1.0009, 0), (0, 1.0, 1.002, 0)], [2], id="short ones"),
        # the second goes, so the third, near it but not near the first, stays
        pytest.param(
            [(0, 1.0, 2.0, 0), (0, 1.0008, 2.0, 0), (0, 1.0016, 2.0, 0)], [0, 2], id="compared with kept ones"
        ),
        pytest.param([], [], id="none"),
    ],
)
def test_drop_duplicates(rows: list[tuple[int, float, float, int]], kept: list[int]) -> None:
    table = np.array(rows, np.float64).reshape(-1, 4)
    truth = Segments(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3].astype(int))
    assert drop_duplicates(truth).tolist() == kept


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"score has shape \(1,\), expected \(2,\) like video"):
        ScoredSegments(np.zeros(2, int), np.zeros(2), np.ones(2), np.zeros(2, int), np.zeros(1))


def test_drop_duplicates_at_the_tolerance() -> None:
    # As long as the tolerance: long enough. As far apart as it: the same.
    rows = np.array([(0, 1.0, 1.5, 0), (0, 1.5, 2.0, 0), (0, 3.0, 5.0, 0), (0, 3.5, 5.0, 0), (0, 3.0, 5.5, 0)])
    truth = Segments(rows[:, 0].astype(int), rows[:, 1], rows[:, 2], rows[:, 3].astype(int))
    assert drop_duplicates(truth, 0.5).tolist() == [0, 2]
    assert drop_duplicates(truth, 0.25).tolist() == [0, 1, 2, 3, 4]
