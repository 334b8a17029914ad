"""The part of the network's shape that is derived from the data."""

from __future__ import annotations

import numpy as np
import pytest

from asl_kit.dataset.split import VideoItem
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.files import load_recipe
from asl_train.derived_shape import derive_shape, shape_table


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ([], 37),
        (["model.padding='full'"], 40),
        (["model.padding='full'", "data.max_sequence_length=30"], 32),
        (["model.padding='full'", "data.sequence_length=100"], 104),
        (["model.padding='full'", "data.sequence_length=96"], 96),
    ],
)
def test_full_padding_is_to_whole_steps_of_the_top_level(settings: list[str], length: int) -> None:
    grid = FeatureGrid.from_windows(fps=30.0, window_frames=16, stride_frames=4, length=37)
    item = VideoItem("v", 6.0, grid, np.zeros((0, 2)), np.zeros((0, 1), dtype=np.int64))
    shape = derive_shape([item], [8], load_recipe(None, ["model.pyramid_levels=4", *settings]))
    assert shape.sequence_length == length


@pytest.mark.parametrize(
    ("lengths", "short"),
    [
        pytest.param([], False, id="no segments"),
        pytest.param([4.1] * 10, False, id="long enough"),
        pytest.param([3.9] * 10, True, id="all"),
        pytest.param([1.5] * 3 + [30.0] * 7, True, id="a few"),
        pytest.param([0.5] + [30.0] * 20, False, id="fewer than a tenth"),
    ],
)
def test_a_finer_scale_is_suggested_for_short_segments(lengths: list[float], short: bool) -> None:
    grid = FeatureGrid.from_windows(fps=10.0, window_frames=5, stride_frames=5, length=100)
    segments = np.array([(0.0, length * grid.step_s) for length in lengths]).reshape(-1, 2)
    items = [VideoItem("v", 50.0, grid, segments, np.zeros((len(lengths), 1), dtype=np.int64))]

    def is_suggested(setting: str) -> bool:
        recipe = load_recipe(None, [setting])
        table = shape_table(derive_shape(items, [8], recipe), items, recipe, 1)
        return any("data.time_scale=2 may find them better" in str(cell) for cell in table.columns[1].cells)

    assert is_suggested("data.time_scale=1") == short
    assert not is_suggested("data.resize_length=100")
    assert not is_suggested("data.time_scale=2")
