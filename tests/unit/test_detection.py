"""Detection at any length: windows and stitching."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.detection import detect, plan_windows
from asl_kit.grid import FeatureGrid
from asl_kit.model.network import Localizer
from asl_kit.recipe import InferenceRecipe


@given(st.integers(1, 3000), st.integers(1, 500), st.sampled_from([1, 2, 8, 32]))
def test_kept_parts_tile_the_video(length: int, window: int, coarsest: int) -> None:
    windows = list(plan_windows(length, window, coarsest))
    assert windows[0].keep_start == 0
    assert windows[-1].keep_stop == length
    for left, right in itertools.pairwise(windows):
        assert left.keep_stop == right.keep_start
    for one in windows:
        assert 0 <= one.start <= one.keep_start < one.keep_stop <= one.stop <= length
        assert one.start % coarsest == 0
        assert one.stop - one.start <= max(window, 3 * coarsest)


def test_windowed_detection_equals_detection_in_one_piece() -> None:
    torch.manual_seed(0)
    network = Localizer(feature_dims=[6], classes=2, width=16, heads=2, window=3, levels=3, stem_blocks=1).eval()
    for name, parameter in network.named_parameters():
        if "scale" in name or "last" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    features = torch.randn(700, 6)
    grid = FeatureGrid(0.25, 0.5, 700)
    found = [
        detect(
            network,
            features,
            grid=grid,
            duration_s=350.0,
            classes=[2],
            settings=InferenceRecipe(max_detections=50),
            window_length=length,
        )[0]
        for length in (1000, 160)
    ]
    assert len(found[0].scores) == 50
    for whole, windowed in zip(*found, strict=True):
        torch.testing.assert_close(windowed, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_very_short_videos(length: int) -> None:
    network = Localizer(feature_dims=[6], classes=2, width=16, heads=2, window=3, levels=4).eval()
    (found,) = detect(
        network,
        torch.randn(length, 6),
        grid=FeatureGrid(0.5, 1.0, length),
        duration_s=float(length),
        classes=[2],
        settings=InferenceRecipe(min_score=0.0),
        window_length=4096,
    )
    assert (found.segments >= 0).all()
    assert (found.segments <= length).all()
    assert (found.segments[:, 1] > found.segments[:, 0]).all()
