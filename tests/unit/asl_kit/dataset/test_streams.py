"""Streams of features joined on one grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.support import make_features
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from asl_kit.dataset.streams import FeatureStream, join_streams, joined_grid, resample
from asl_kit.errors import FeatureError
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.schema import DataRecipe

COARSE, FINE = FeatureGrid(0.5, 1.0, 7), FeatureGrid(0.1, 0.2, 40)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(-2, 2))
def test_resampling_a_straight_line_gives_the_line(length: int, wanted: int, start_s: float) -> None:
    grid = FeatureGrid(start_s, 0.5, length)
    features = np.stack((grid.centers_s(), np.ones(length)), axis=1).astype(np.float32)
    onto = FeatureGrid(start_s + 0.1, 0.3, wanted)
    found = resample(features, grid, onto)
    expected = np.clip(onto.centers_s(), grid.centers_s()[0], grid.centers_s()[-1])
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 1], 1)


@pytest.mark.parametrize(
    ("recipe", "length_of"),
    [
        (DataRecipe(), lambda length: length),
        (DataRecipe(resize_length=20), lambda _: 20),
        (DataRecipe(resize_length=3), lambda _: 3),
        (DataRecipe(time_scale=2), lambda length: 2 * length),
    ],
    ids=["not resized", "20", "3", "twice"],
)
@pytest.mark.parametrize("grids", [(COARSE, FINE), (FINE, COARSE)], ids=["coarse first", "fine first"])
def test_each_stream_is_interpolated_once_onto_the_grid(
    grids: tuple[FeatureGrid, FeatureGrid], recipe: DataRecipe, length_of: Callable[[int], int]
) -> None:
    onto = joined_grid(grids[0], recipe)
    assert onto.length == length_of(grids[0].length)
    assert (onto.start_s, onto.end_s) == pytest.approx((grids[0].start_s, grids[0].end_s))
    features = [make_features(grid.length, seed=seed, dimension=3) for seed, grid in enumerate(grids)]
    joined = join_streams([FeatureStream(x, grid, "") for x, grid in zip(features, grids, strict=True)], onto)
    times = onto.centers_s()
    expected = [
        np.interp(times, grid.centers_s(), column)
        for x, grid in zip(features, grids, strict=True)
        for column in x.T.astype(np.float64)
    ]
    np.testing.assert_allclose(joined, np.stack(expected, axis=1), atol=1e-5)
    if onto == grids[0]:
        np.testing.assert_array_equal(joined[:, :3], features[0])


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("scale", [2, 3])
def test_time_scale_is_torchs_interpolation(length: int, scale: int) -> None:
    """And its centres are those of the parts of each step, at the ends too."""
    grid = FeatureGrid(0.5, 1.0, length)
    features = make_features(length, dimension=3)
    onto = joined_grid(grid, DataRecipe(time_scale=scale))
    np.testing.assert_allclose(onto.centers_s(), (np.arange(length * scale) + 0.5) / scale)
    joined = join_streams([FeatureStream(features, grid, "")], onto)
    torchs = interpolate(torch.from_numpy(features.T[None]), scale_factor=scale, mode="linear", align_corners=False)
    np.testing.assert_allclose(joined, torchs[0].T, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_not_finite_is_named(value: float, dtype: type) -> None:
    bad = make_features(7).astype(dtype)
    bad[5, 2] = bad[6, 0] = value
    streams = [FeatureStream(make_features(7), COARSE, "a.zarr: video v"), FeatureStream(bad, COARSE, "b.mp4: x3d_s")]
    with pytest.raises(FeatureError, match=r"^b\.mp4: x3d_s: feature 5 is not finite$"):
        join_streams(streams, COARSE)
