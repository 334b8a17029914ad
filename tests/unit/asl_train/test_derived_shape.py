"""The part of the network's shape that is derived from the data."""

from __future__ import annotations

import numpy as np
import pytest

from asl_kit.dataset.split import VideoItem
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.files import load_recipe
from asl_train.derived_shape import derive_shape, finer_scale, shape_table


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
    ("lengths", "scale", "suggested"),
    [
        pytest.param([], 1, None, id="no segments"),
        pytest.param([4.0] * 10, 1, None, id="long enough"),
        pytest.param([3.9] * 10, 2, 2, id="twice"),
        pytest.param([1.5] * 3 + [30.0] * 7, 4, 4, id="a few"),
        pytest.param([0.1] * 10, 4, 4, id="as far as it goes"),
        pytest.param([0.5] + [30.0] * 20, 1, None, id="fewer than a tenth"),
    ],
)
def test_a_finer_scale_for_short_segments(lengths: list[float], scale: int, suggested: int | None) -> None:
    grid = FeatureGrid.from_windows(fps=10.0, window_frames=5, stride_frames=5, length=100)
    segments = np.array([(0.0, length * grid.step_s) for length in lengths]).reshape(-1, 2)
    items = [VideoItem("v", 50.0, grid, segments, np.zeros((len(lengths), 1), dtype=np.int64))]
    assert finer_scale(items) == scale

    def row(setting: str) -> list[str]:
        recipe = load_recipe(None, [setting])
        table = shape_table(derive_shape(items, [8], recipe), items, recipe, 1)
        return [cell for cell in table.columns[1].cells if "data.time_scale" in str(cell)]

    assert [f"data.time_scale={suggested} may find them better" in cell for cell in row("data.time_scale=1")] == (
        [True] if suggested else []
    )
    assert row("data.resize_length=100") == row("data.time_scale=4") == []
