from __future__ import annotations

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, recall_at_top

# Video 0 holds two segments of class 0, video 1 one of class 1.
TRUTH = Segments(np.array([0, 0, 1]), np.array([0.0, 20.0, 0.0]), np.array([10.0, 30.0, 10.0]), np.array([0, 0, 1]))


def _predictions(*rows: tuple[int, float, float, int, float]) -> ScoredSegments:
    video, start_s, end_s, label, score = np.array(rows, np.float64).reshape(-1, 5).T
    return ScoredSegments(video.astype(int), start_s, end_s, label.astype(int), score)


@pytest.mark.parametrize(
    ("predictions", "per_video", "expected"),
    [
        pytest.param(_predictions(), 1, [0, 0], id="nothing predicted"),
        pytest.param(_predictions((0, 0, 10, 0, 0.5)), 1, [1 / 3, 1 / 3], id="one of three"),
        pytest.param(_predictions((0, 0, 5, 0, 0.5)), 1, [1 / 3, 0], id="tIoU exactly at the first threshold"),
        pytest.param(_predictions((0, 0, 10, 1, 0.5)), 1, [0, 0], id="of another class"),
        pytest.param(_predictions((0, 0, 10, 0, 0.5), (0, 50, 60, 1, 0.9)), 1, [0, 0], id="not among the first"),
        pytest.param(
            _predictions((0, 0, 10, 0, 0.5), (0, 50, 60, 1, 0.9)), 2, [1 / 3, 1 / 3], id="among the first two"
        ),
        pytest.param(_predictions((0, 20, 30, 0, 0.1), (1, 0, 10, 1, 0.9)), 1, [2 / 3, 2 / 3], id="videos are apart"),
        pytest.param(
            _predictions((0, 0, 10, 0, 0.5), (0, 0, 10, 0, 0.4)), 2, [1 / 3, 1 / 3], id="found twice counts once"
        ),
    ],
)
def test_recall_at_top(predictions: ScoredSegments, per_video: int, expected: list[float]) -> None:
    found = recall_at_top(TRUTH, predictions, per_video=per_video, tiou_thresholds=[0.5, 0.9])
    np.testing.assert_allclose(found, expected)


def test_one_prediction_may_find_two_segments() -> None:
    truth = Segments(np.zeros(2, int), np.array([0.0, 1.0]), np.array([10.0, 11.0]), np.zeros(2, int))
    assert recall_at_top(truth, _predictions((0, 0.5, 10.5, 0, 1)), per_video=1, tiou_thresholds=[0.9]).tolist() == [
        1.0
    ]


def test_without_ground_truth_recall_is_not_a_number() -> None:
    none = TRUTH.take(np.zeros(0, int))
    assert np.isnan(recall_at_top(none, _predictions((0, 0, 1, 0, 1)), per_video=1, tiou_thresholds=[0.5])).all()


def test_per_video_must_be_positive() -> None:
    with pytest.raises(ValueError, match="per_video must be 1 or more, got 0"):
        recall_at_top(TRUTH, _predictions(), per_video=0, tiou_thresholds=[0.5])
