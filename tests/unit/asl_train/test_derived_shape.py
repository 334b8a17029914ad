"""The part of the network's shape that is derived from the data."""

from __future__ import annotations

import numpy as np
import pytest

from asl_kit.dataset.split import VideoItem
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.files import load_recipe
from asl_train.derived_shape import derive_shape


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
