"""The time base."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.grid import FeatureGrid

grids = st.builds(
    FeatureGrid,
    first_center_s=st.floats(-1e3, 1e3),
    step_s=st.floats(1e-3, 1e2),
    length=st.integers(1, 5000),
)


@pytest.mark.parametrize(
    ("fps", "window", "stride", "first_center_s", "step_s"),
    [
        (30.0, 16, 4, 16 / 60, 4 / 30),  # ActionFormer's THUMOS14 features: (0 * 4 + 16 / 2) / 30
        (25.0, 32, 16, 0.64, 0.64),
        (15.0, 1, 1, 0.5 / 15, 1 / 15),
        (0.5, 4, 2, 4.0, 4.0),
    ],
    ids=["thumos", "touching windows", "one frame", "a frame in two seconds"],
)
def test_window_centres(fps: float, window: int, stride: int, first_center_s: float, step_s: float) -> None:
    grid = FeatureGrid.from_windows(fps=fps, window_frames=window, stride_frames=stride, length=10)
    assert grid.first_center_s == pytest.approx(first_center_s)
    assert grid.step_s == pytest.approx(step_s)
    assert grid.centers_s()[3] == pytest.approx((3 * stride + window / 2) / fps)


@given(grids, st.floats(-1e4, 1e4))
def test_seconds_and_indices_are_inverse(grid: FeatureGrid, index: float) -> None:
    # Rounding of seconds around 1e3 is worth up to 1e-10 steps of a thousandth of a second each.
    assert grid.to_index(grid.to_seconds(index)) == pytest.approx(index, abs=1e-6, rel=1e-6)


@given(grids, st.data())
def test_a_crop_keeps_the_times_of_its_features(grid: FeatureGrid, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, grid.length))
    stop = data.draw(st.integers(start, grid.length))
    np.testing.assert_allclose(grid.crop(start, stop).centers_s(), grid.centers_s()[start:stop], rtol=1e-9, atol=1e-6)


@given(grids, st.integers(1, 300))
def test_resizing_keeps_the_covered_time(grid: FeatureGrid, length: int) -> None:
    resized = grid.resized(length)
    assert resized.start_s == pytest.approx(grid.start_s, abs=1e-6, rel=1e-6)
    assert resized.end_s == pytest.approx(grid.end_s, abs=1e-6, rel=1e-6)
    back = resized.resized(grid.length)
    assert (back.first_center_s, back.step_s) == pytest.approx((grid.first_center_s, grid.step_s), abs=1e-6)


@given(grids)
def test_json_round_trip(grid: FeatureGrid) -> None:
    assert FeatureGrid.from_json(grid.to_json()) == grid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan, 1.0, 5), "first_center_s must be finite"),
        ((0.0, 0.0, 5), "step_s must be a finite number above 0"),
        ((0.0, math.inf, 5), "step_s must be a finite number above 0"),
        ((0.0, 1.0, -1), "length must be 0 or more"),
    ],
)
def test_impossible_grids_are_refused(arguments: tuple[float, float, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureGrid(*arguments)


@pytest.mark.parametrize("fps", [0.0, -1.0, math.nan])
def test_impossible_frame_rates_are_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="fps must be a finite number above 0"):
        FeatureGrid.from_windows(fps=fps, window_frames=16, stride_frames=4, length=1)


@pytest.mark.parametrize(("window", "stride"), [(0, 4), (16, 0)])
def test_impossible_windows_are_refused(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match=f"must be 1 frame or more, got {window} and {stride}"):
        FeatureGrid.from_windows(fps=30.0, window_frames=window, stride_frames=stride, length=1)


def test_the_time_that_a_grid_covers() -> None:
    grid = FeatureGrid(1.0, 0.5, 4)
    assert (grid.start_s, grid.end_s) == (0.75, 2.75)
    assert grid.resized(2) == FeatureGrid(1.25, 1.0, 2)
    assert grid.resized(1) == FeatureGrid(1.75, 2.0, 1)
    assert grid.shifted(0.25) == FeatureGrid(1.25, 0.5, 4)
    assert grid.crop(1, 3) == FeatureGrid(1.5, 0.5, 2)
    assert FeatureGrid(1.0, 0.5, 1).resized(2) == FeatureGrid(0.875, 0.25, 2)
    assert FeatureGrid(1.0, 0.5, 0).centers_s().tolist() == []


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 2), (0, 5)])
def test_crops_outside_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=rf"crop \[{start}, {stop}\) is outside a grid of 4 features"):
        FeatureGrid(1.0, 0.5, 4).crop(start, stop)


@pytest.mark.parametrize(("length", "new"), [(0, 5), (4, 0)])
def test_empty_grids_cannot_be_resized(length: int, new: int) -> None:
    with pytest.raises(ValueError, match=f"cannot resize a grid of {length} features to {new}"):
        FeatureGrid(1.0, 0.5, length).resized(new)
