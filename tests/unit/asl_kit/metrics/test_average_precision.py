from __future__ import annotations

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, average_precision, match_detections
from asl_kit.metrics.matching import overlapping_pairs

TruthRow = tuple[int, float, float, int]
PredictionRow = tuple[int, float, float, int, float]


def _truth(rows: list[TruthRow]) -> Segments:
    table = np.array(rows, np.float64).reshape(-1, 4)
    return Segments(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3].astype(int))


def _predictions(rows: list[PredictionRow]) -> ScoredSegments:
    table = np.array(rows, np.float64).reshape(-1, 5)
    return ScoredSegments(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3].astype(int), table[:, 4])


ONE = [(0, 0.0, 10.0, 0)]
TWO = [(0, 0.0, 10.0, 0), (0, 20.0, 30.0, 0)]


# Columns are video, start, end, class (, score); expected values are worked out by hand.
@pytest.mark.parametrize(
    ("truth", "predictions", "tiou", "expected"),
    [
        pytest.param(ONE, [(0, 0, 10, 0, 0.5)], 0.5, 1.0, id="hit"),
        pytest.param(ONE, [(0, 0, 5, 0, 0.5)], 0.5, 1.0, id="tIoU exactly at the threshold"),
        pytest.param(ONE, [(0, 0, 4.999, 0, 0.5)], 0.5, 0.0, id="tIoU just below the threshold"),
        pytest.param(ONE, [(0, 0, 10, 0, 0.5)], 1.0, 1.0, id="the highest threshold"),
        pytest.param(ONE, [(1, 0, 10, 0, 0.5)], 0.5, 0.0, id="another video"),
        pytest.param(ONE, [], 0.5, 0.0, id="no predictions"),
        pytest.param(ONE, [(0, 50, 60, 0, 0.9), (0, 0, 10, 0, 0.5)], 0.5, 0.5, id="a miss above the hit"),
        pytest.param(
            ONE, [(1, 0, 10, 0, 0.9), (0, 0, 10, 0, 0.5)], 0.5, 0.5, id="a hit in an empty video counts as a miss"
        ),
        pytest.param(ONE, [(0, 0, 10, 0, 0.9), (0, 0, 10, 0, 0.5)], 0.5, 1.0, id="found twice, the second below"),
        # ranks: hit, miss, hit -> precision 1 at recall 1/2, 2/3 at recall 1
        pytest.param(
            TWO, [(0, 0, 10, 0, 0.9), (0, 0, 10, 0, 0.8), (0, 20, 30, 0, 0.7)], 0.5, 0.5 + 1 / 3, id="found twice"
        ),
        # ranks: miss, hit, hit -> 1/2 at recall 1/2 is raised to the 2/3 at recall 1
        pytest.param(
            TWO, [(0, 50, 60, 0, 0.9), (0, 0, 10, 0, 0.8), (0, 20, 30, 0, 0.7)], 0.5, 2 / 3, id="interpolated"
        ),
        pytest.param(TWO, [(0, 0, 10, 0, 0.9)], 0.5, 0.5, id="half found"),
        pytest.param(ONE * 2, [(0, 0, 10, 0, 0.9), (0, 0, 10, 0, 0.5)], 0.5, 1.0, id="duplicates are two to find"),
        # the first takes its best segment, the only one that the second could have found
        pytest.param(
            [(0, 0, 10, 0), (0, 4, 14, 0)],
            [(0, 1, 11, 0, 0.9), (0, 0, 7, 0, 0.5)],
            0.5,
            0.5,
            id="the first takes the best",
        ),
        # its best segment is taken, so the second prediction gets the next best above the threshold
        pytest.param(
            [(0, 0, 10, 0), (0, 3, 13, 0)],
            [(0, 0, 10, 0, 0.9), (0, 1, 11, 0, 0.5)],
            0.5,
            1.0,
            id="falls back to the next",
        ),
        # equal tIoU with both: it takes the one that starts last, which leaves the first for the other
        pytest.param(
            [(0, 0, 10, 0), (0, 4, 14, 0)],
            [(0, 2, 12, 0, 0.9), (0, 0, 10, 0, 0.5)],
            0.6,
            1.0,
            id="equal tIoU: starts last",
        ),
        pytest.param(
            [(0, 0, 10, 0), (0, 4, 14, 0)],
            [(0, 2, 12, 0, 0.9), (0, 4, 14, 0, 0.5)],
            0.6,
            0.5,
            id="equal tIoU: not the first",
        ),
        pytest.param(ONE, [(0, 0, 10, 0, 0.5), (0, 1, 50, 0, 0.5)], 0.5, 1.0, id="equal scores: earlier start first"),
        pytest.param(ONE, [(0, 0, 10, 0, 0.5), (0, -1, 50, 0, 0.5)], 0.5, 0.5, id="equal scores: later start second"),
        pytest.param([(0, 5, 5, 0)], [(0, 5, 5, 0, 0.5)], 0.5, 0.0, id="a segment without length is never found"),
    ],
)
def test_one_class(truth: list[TruthRow], predictions: list[PredictionRow], tiou: float, expected: float) -> None:
    found = average_precision(_truth(truth), _predictions(predictions), num_classes=1, tiou_thresholds=[tiou])
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(expected, abs=1e-12)


def test_classes_and_thresholds_are_apart() -> None:
    truth = _truth([(0, 0, 10, 0), (0, 0, 10, 2), (1, 0, 10, 2)])
    predictions = _predictions([(0, 0, 6, 0, 0.9), (0, 0, 10, 1, 0.8), (1, 0, 10, 2, 0.1), (0, 0, 10, 2, 0.7)])
    found = average_precision(truth, predictions, num_classes=4, tiou_thresholds=[0.7, 0.5])
    np.testing.assert_array_equal(found, [[0.0, np.nan, 1.0, np.nan], [1.0, np.nan, 1.0, np.nan]])


def test_matching_names_the_rows() -> None:
    truth = _truth([(0, 20, 30, 1), (0, 0, 10, 0), (0, 40, 50, 1)])
    predictions = _predictions([(0, 40, 50, 1, 0.2), (0, 0, 10, 0, 0.3), (0, 60, 70, 1, 0.5), (0, 20, 30, 1, 0.1)])
    matching = match_detections(truth, predictions, num_classes=2, tiou_thresholds=[0.5])
    assert matching.order.tolist() == [1, 2, 0, 3]
    assert matching.first.tolist() == [0, 1, 4]
    assert matching.position[0].tolist() == [0, 2, 3]
    assert matching.truth[0].tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("labels", "tiou", "message"),
    [
        pytest.param(2, [0.5], r"a label of truth is outside \[0, 2\)", id="label too high"),
        pytest.param(-1, [0.5], r"a label of truth is outside \[0, 2\)", id="label below 0"),
        pytest.param(0, [0.0], r"numbers in \(0, 1\], got \[0.0\]", id="threshold 0"),
        pytest.param(0, [0.5, 1.1], r"numbers in \(0, 1\], got \[0.5, 1.1\]", id="threshold above 1"),
        pytest.param(0, [float("nan")], r"numbers in \(0, 1\], got \[nan\]", id="threshold not a number"),
        pytest.param(0, [], r"one or more numbers in \(0, 1\], got \[\]", id="no threshold"),
    ],
)
def test_out_of_range(labels: int, tiou: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        average_precision(
            _truth([(0, 0, 1, 1), (0, 0, 1, labels)]), _predictions([]), num_classes=2, tiou_thresholds=tiou
        )


def test_many_pairs_are_taken_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 50, 300)
    truth = _truth([(0, s, s + 5, 0) for s in start[:60]])
    predictions = _predictions([(0, s, s + 5, 0, score) for s, score in zip(start, rng.uniform(size=300), strict=True)])
    whole = average_precision(truth, predictions, num_classes=1, tiou_thresholds=[0.3, 0.6])
    monkeypatch.setattr("asl_kit.metrics.matching.PAIRS_AT_ONCE", 50)  # less than the 60 of one prediction
    blocks = average_precision(truth, predictions, num_classes=1, tiou_thresholds=[0.3, 0.6])
    assert whole.tolist() == blocks.tolist()
    assert 0 < whole[1, 0] < whole[0, 0] <= 1


def test_of_segments_that_fit_alike_the_last_is_taken() -> None:
    starts_last = match_detections(
        _truth([(0, 2, 10, 0), (0, 0, 8, 0)]), _predictions([(0, 0, 10, 0, 0.5)]), num_classes=1, tiou_thresholds=[0.5]
    )
    ends_last = match_detections(
        _truth([(0, 0, 12.5, 0), (0, 0, 8, 0)]),
        _predictions([(0, 0, 10, 0, 0.5)]),
        num_classes=1,
        tiou_thresholds=[0.5],
    )
    assert starts_last.truth[0].tolist() == ends_last.truth[0].tolist() == [0]


def test_many_detections_are_in_order_of_class_and_score() -> None:
    # Many: of few, every sort of NumPy's keeps equal rows in order.
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 3, 1000), rng.permutation(1000) / 1000
    predictions = _predictions([(0, 0, 1, *row) for row in zip(label, score, strict=True)])
    matching = match_detections(_truth(ONE), predictions, num_classes=3, tiou_thresholds=[0.5])
    assert matching.order.tolist() == np.lexsort((-score, label)).tolist()
    assert np.diff(matching.first).tolist() == np.bincount(label).tolist()


def test_pairs_are_in_order() -> None:
    # Many segments and detections of two classes, all of which overlap.
    rng = np.random.default_rng(0)
    start, label = rng.uniform(0, 1, 1000), rng.integers(0, 2, 1000)
    truth = _truth([(0, s, s + 10, c) for s, c in zip(start, label, strict=True)])
    pairs = overlapping_pairs(truth, _predictions([(0, 0.5, 10.5, c, 0.5) for c in (0, 1, 0)]), 0.5)
    of_class = [np.flatnonzero(label == c) for c in (0, 1, 0)]
    assert pairs.detection.tolist() == np.repeat(np.arange(3), [len(rows) for rows in of_class]).tolist()
    assert pairs.truth.tolist() == np.concatenate(of_class).tolist()
