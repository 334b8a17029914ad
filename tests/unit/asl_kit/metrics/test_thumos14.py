"""Worked out by hand from the rules of ``TH14evalDet.m``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, thumos14_average_precision


def _segments(rows: list[tuple[float, float]]) -> Segments:
    table = np.array(rows, np.float64).reshape(-1, 2)
    zeros = np.zeros(len(table), np.int64)
    return Segments(zeros, table[:, 0], table[:, 1], zeros)


def _ap(truth: list[Any], found: list[Any], ignored: list[Any], tiou: float) -> float:
    segments = _segments([row[:2] for row in found])
    scored = ScoredSegments(
        segments.video, segments.start_s, segments.end_s, segments.label, np.array([row[2] for row in found], float)
    )
    result = thumos14_average_precision(
        _segments(truth), scored, _segments(ignored), num_classes=1, tiou_thresholds=[tiou]
    )
    return float(result[0, 0])


@pytest.mark.parametrize(
    ("truth", "found", "ignored", "tiou", "expected"),
    [
        pytest.param([(0, 10)], [(0, 10, 0.9)], [], 0.5, 1.0, id="found"),
        pytest.param([(0, 10)], [], [], 0.5, 0.0, id="nothing predicted"),
        pytest.param([(0, 10), (20, 30)], [(20, 30, 0.9)], [], 0.5, 0.5, id="the second alone"),
        pytest.param([(0, 10)], [(0, 5, 0.9)], [], 0.5, 0.0, id="a tIoU at the threshold is not enough"),
        pytest.param([(0, 10)], [(0, 5.1, 0.9)], [], 0.5, 1.0, id="just above the threshold"),
        pytest.param([(0, 10)], [(5, 15, 0.9)], [], 0.4, 0.0, id="half of each is a third of both"),
        # 4.5 of 15 s, which is 0.30000000000000004 by the tool's arithmetic and 0.3 by ActivityNet's
        pytest.param([(13.4, 24.5)], [(20.0, 28.4, 0.9)], [], 0.3, 1.0, id="above the threshold as the tool rounds"),
        pytest.param([(3, 3)], [(3, 3, 0.9)], [], 0.5, 0.0, id="the same point twice"),
        pytest.param([(-1e308, 1e308)], [(-1e308, 1e308, 0.9)], [], 0.5, 0.0, id="lengths beyond all numbers"),
        pytest.param(
            [(0, 10)], [(0, 8, 0.9), (0, 10, 0.8)], [], 0.5, 0.5, id="a segment takes the best fit, not the best score"
        ),
        pytest.param(
            [(0, 10), (20, 30)], [(40, 50, 0.9), (0, 10, 0.8), (20, 30, 0.7)], [], 0.5, 7 / 12, id="not interpolated"
        ),
        pytest.param([(0, 10)], [(49, 51, 0.9), (0, 10, 0.8)], [(50, 60)], 0.5, 1.0, id="on an ignored stretch"),
        pytest.param([(0, 10)], [(40, 50, 0.9), (0, 10, 0.8)], [(50, 60)], 0.5, 0.5, id="beside an ignored stretch"),
        pytest.param([(0, 10)], [(0, 10, 0.9)], [(0, 10)], 0.5, 1.0, id="a hit counts even on an ignored stretch"),
        pytest.param(
            [(0, 10), (4, 14)], [(3, 13, 0.9)], [], 0.3, 0.5, id="the earlier segment takes what the later fits better"
        ),
    ],
)  # fmt: skip
def test_by_hand(truth: list[Any], found: list[Any], ignored: list[Any], tiou: float, expected: float) -> None:
    assert _ap(truth, found, ignored, tiou) == pytest.approx(expected, abs=1e-12)


def test_class_without_ground_truth_is_nan() -> None:
    one = _segments([(0, 1)])
    scored = ScoredSegments(one.video, one.start_s, one.end_s, one.label, np.ones(1))
    result = thumos14_average_precision(one, scored, one, num_classes=2, tiou_thresholds=[0.5])
    assert np.isnan(result[0]).tolist() == [False, True]


def test_thresholds_are_apart() -> None:
    half = _segments([(0, 5)])
    scored = ScoredSegments(half.video, half.start_s, half.end_s, half.label, np.ones(1))
    result = thumos14_average_precision(
        _segments([(0, 10)]), scored, _segments([]), num_classes=1, tiou_thresholds=[0.7, 0.3]
    )
    assert result.tolist() == [[0.0], [1.0]]
