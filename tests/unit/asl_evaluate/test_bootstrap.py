from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from asl_evaluate import bootstrap
from asl_evaluate.bootstrap import confidence, draw_weights, interval, resampled_map
from asl_kit.metrics import ScoredSegments, Segments, average_precision, match_detections

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
VIDEOS, CLASSES = 7, 3
TIOU = (0.3, 0.5, 0.7)


def _random_set(seed: int) -> tuple[Segments, ScoredSegments]:
    rng = np.random.default_rng(seed)
    start_s = rng.uniform(0, 50, 25)
    truth = Segments(rng.integers(VIDEOS - 1, size=25), start_s, start_s + 8, rng.integers(CLASSES, size=25))
    near = rng.integers(25, size=120)
    shifted_s = truth.start_s[near] + rng.normal(0, 2, 120)
    label = np.where(rng.uniform(size=120) < 0.8, truth.label[near], rng.integers(CLASSES, size=120))
    video = np.where(rng.uniform(size=120) < 0.8, truth.video[near], rng.integers(VIDEOS, size=120))
    score = rng.permutation(120) / 120  # equal ones of a video would stand in another order when copied
    return truth, ScoredSegments(video, shifted_s, shifted_s + 8, label, score)


def _resampled(truth: Segments, found: ScoredSegments, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    matching = match_detections(truth, found, num_classes=CLASSES, tiou_thresholds=TIOU)
    return resampled_map(truth, found, matching, weights)


def _written_out(truth: Segments, found: ScoredSegments, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mAP of a set in which each video stands as often as it was drawn, each time under a new number."""
    parts: list[list[NDArray[np.float64]]] = [[], []]
    for number, video in enumerate(np.repeat(np.arange(len(drawn)), drawn.astype(int)).tolist()):
        for part, segments in zip(parts, (truth, found), strict=True):
            rows = segments.take(segments.video == video)
            columns = [np.full(len(rows), number), rows.start_s, rows.end_s, rows.label]
            part.append(np.array([*columns, *([rows.score] if isinstance(rows, ScoredSegments) else [])]))
    tables = [np.concatenate(part, axis=1) for part in parts]
    new_truth, new_found = (
        kind(table[0].astype(int), table[1], table[2], table[3].astype(int), *table[4:])
        for kind, table in zip((Segments, ScoredSegments), tables, strict=True)
    )
    result = average_precision(new_truth, new_found, num_classes=CLASSES, tiou_thresholds=TIOU)
    return np.asarray(np.nanmean(result, axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_equals_resamples_that_are_written_out(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_COLUMNS_AT_ONCE", 33)  # so that blocks meet, and the last is not full
    monkeypatch.setattr(bootstrap, "_POSITIONS_AT_ONCE", 4)
    truth, found = _random_set(seed)
    weights = draw_weights(VIDEOS, resamples=100, seed=seed)
    resampled = _resampled(truth, found, weights)
    for column in range(101):
        if weights[np.unique(truth.video), column].any():
            expected = _written_out(truth, found, weights[:, column])
            np.testing.assert_allclose(resampled[:, column], expected, rtol=0, atol=1e-12)


def test_the_first_column_is_the_score_as_it_is() -> None:
    truth, found = _random_set(9)
    expected = np.nanmean(average_precision(truth, found, num_classes=CLASSES, tiou_thresholds=TIOU), axis=1)
    np.testing.assert_allclose(_resampled(truth, found, np.ones((VIDEOS, 1)))[:, 0], expected, rtol=0, atol=1e-15)


def test_a_resample_without_ground_truth_does_not_count() -> None:
    truth, found = _random_set(0)
    nothing = np.zeros((VIDEOS, 1))
    nothing[VIDEOS - 1] = VIDEOS  # the video without ground truth, again and again
    assert np.isnan(_resampled(truth, found, nothing)).all()
    row = interval(np.array([0.5, 0.4, np.nan, 0.6]), centred=True)
    assert (row.low, row.high) == pytest.approx((0.405, 0.595))
    alone = interval(np.array([0.5, np.nan]), centred=True)
    assert (alone.low, alone.estimate, alone.high, alone.standard_error) == (0.5, 0.5, 0.5, 0.0)


def test_weights_are_drawn_with_replacement() -> None:
    weights = draw_weights(50, resamples=2000, seed=3)
    assert (weights[:, 0] == 1).all()
    assert (weights.sum(axis=0) == 50).all()
    drawn = weights[:, 1:]
    assert np.mean(drawn == 0) == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)
    assert np.abs(drawn.mean(axis=1) - 1).max() < 0.12
    np.testing.assert_array_equal(weights, draw_weights(50, resamples=2000, seed=3))
    assert (weights != draw_weights(50, resamples=2000, seed=4)).any()


@pytest.mark.parametrize(
    ("values", "centred", "expected"),
    [
        pytest.param([0.5, *np.linspace(0.6, 0.8, 201)], True, (0.405, 0.595), id="moved-to-the-estimate"),
        pytest.param([0.5, *np.linspace(0.6, 0.8, 201)], False, (0.5, 0.795), id="widened-to-the-estimate"),
        pytest.param([0.98, *np.linspace(0.5, 1.0, 201)], True, (0.7425, 1.0), id="a-score-is-1-at-most"),
        pytest.param([-0.1, *np.linspace(-0.3, 0.1, 201)], False, (-0.29, 0.09), id="a-difference-may-be-negative"),
    ],
)
def test_interval(values: list[float], centred: bool, expected: tuple[float, float]) -> None:
    row = interval(np.array(values), centred=centred)
    assert (row.low, row.high) == pytest.approx(expected)
    assert row.estimate == values[0]


def test_confidence_has_a_row_for_each_threshold() -> None:
    truth, found = _random_set(1)
    row = confidence(_resampled(truth, found, draw_weights(VIDEOS, resamples=200, seed=7)), seed=7)
    assert (row.level, row.resamples, row.seed, len(row.per_tiou)) == (0.95, 200, 7, 3)
    assert row.average.estimate == pytest.approx(np.mean([part.estimate for part in row.per_tiou]))
    assert all(part.low < part.estimate < part.high for part in (*row.per_tiou, row.average))


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("bootstrap_calibration")


@pytest.mark.slow
def test_intervals_and_p_values_hold_what_they_promise(calibration: ModuleType) -> None:
    shares = calibration.measure(videos=100, classes=12, sets=200, resamples=200)
    # 0.95 and 0.05 of 200 have standard deviations of 0.015; the sets are the same in every run
    assert 0.91 <= shares["intervals (centred) that hold it"] <= 0.99
    assert 0.01 <= shares["p-values below 0.05"] <= 0.09
