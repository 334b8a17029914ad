from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_evaluate.report.confusion import best_score, confusion_matrix
from asl_kit.metrics import ScoredSegments, Segments


def columns(rows: list[tuple[float, ...]], width: int) -> list[NDArray[np.float64]]:
    return list(np.array(rows, np.float64).reshape(-1, width).T)


def truth_of(*rows: tuple[float, ...]) -> Segments:
    """Rows are (video, start, end, class)."""
    video, start, end, label = columns(list(rows), 4)
    return Segments(video.astype(int), start, end, label.astype(int))


def predicted_of(*rows: tuple[float, ...]) -> ScoredSegments:
    """Rows are (video, start, end, class, score)."""
    video, start, end, label, score = columns(list(rows), 5)
    return ScoredSegments(video.astype(int), start, end, label.astype(int), score)


TRUTH = truth_of((0, 0, 10, 0), (0, 20, 30, 1), (1, 0, 10, 1), (1, 50, 60, 1))


@pytest.mark.parametrize(
    ("predicted", "tiou", "expected"),
    [
        pytest.param(predicted_of(), 0.5, [[0, 0, 1], [0, 0, 3]], id="nothing is found"),
        pytest.param(predicted_of((0, 0, 10, 0, 0.1)), 0.5, [[1, 0, 0], [0, 0, 3]], id="right"),
        pytest.param(predicted_of((0, 0, 10, 1, 0.1)), 0.5, [[0, 1, 0], [0, 0, 3]], id="another class"),
        pytest.param(
            predicted_of((0, 0, 10, 1, 0.9), (0, 0, 10, 0, 0.1)),
            0.5,
            [[0, 1, 0], [0, 0, 3]],
            id="the highest score counts",
        ),
        pytest.param(predicted_of((0, 0, 5, 0, 0.1)), 0.5, [[1, 0, 0], [0, 0, 3]], id="tIoU at the threshold"),
        pytest.param(predicted_of((0, 0, 5, 0, 0.1)), 0.51, [[0, 0, 1], [0, 0, 3]], id="tIoU below it"),
        pytest.param(predicted_of((1, 20, 30, 1, 0.1)), 0.5, [[0, 0, 1], [0, 0, 3]], id="another video"),
    ],
)
def test_confusion_matrix(predicted: ScoredSegments, tiou: float, expected: list[list[int]]) -> None:
    assert confusion_matrix(TRUTH, predicted, num_classes=2, tiou_threshold=tiou).tolist() == expected


ROW = st.tuples(
    st.integers(0, 2), st.integers(0, 20), st.integers(1, 9), st.integers(0, 3), st.floats(0, 1, allow_nan=False)
).map(lambda row: (row[0], row[1], row[1] + row[2], row[3], row[4]))


@given(st.lists(ROW, min_size=1), st.lists(ROW), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_row_holds_the_segments_of_its_class(
    truth: list[tuple[float, ...]], predicted: list[tuple[float, ...]], tiou: float
) -> None:
    segments = truth_of(*(row[:4] for row in truth))
    matrix = confusion_matrix(segments, predicted_of(*predicted), num_classes=4, tiou_threshold=tiou)
    assert matrix.sum(1).tolist() == np.bincount(segments.label, minlength=4).tolist()


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        pytest.param(predicted_of(), 0.0, id="none"),
        pytest.param(predicted_of((0, 0, 10, 0, 0.9), (0, 50, 60, 0, 0.5)), 0.9, id="a wrong one is left out"),
        # F1 by hand: 2 * 1 / (1 + 4) = 0.4, 2 * 1 / (2 + 4) = 0.33, 2 * 2 / (3 + 4) = 0.57
        pytest.param(
            predicted_of((0, 0, 10, 0, 0.9), (0, 50, 60, 0, 0.8), (0, 20, 30, 1, 0.7)), 0.7, id="worth a wrong one"
        ),
        pytest.param(predicted_of((0, 50, 60, 0, 0.5), (0, 0, 10, 0, 0.5)), 0.5, id="equal scores come together"),
    ],
)
def test_best_score(predicted: ScoredSegments, expected: float) -> None:
    assert best_score(TRUTH, predicted, num_classes=2, tiou_threshold=0.5) == expected
