"""Detection at any length: windows and stitching."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.detection import detect, plan_windows, to_detections
from asl_kit.grid import FeatureGrid
from asl_kit.model.decoding import Candidates
from asl_kit.model.network import Localizer
from asl_kit.predictions import read_predictions, write_tables
from asl_kit.recipe import InferenceRecipe
from asl_kit.video_detections import VideoDetections, join_tables


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


def test_combinations_are_a_table_of_their_own(tmp_path: Path) -> None:
    """Of two videos, the second without anything: tables by vocabulary, and the files that predict writes of them."""

    def candidates(*rows: tuple[float, float, float, int]) -> Candidates:
        table = torch.tensor([row[:3] for row in rows], dtype=torch.float64).reshape(-1, 3)
        return Candidates(table[:, :2], table[:, 2], torch.tensor([row[3] for row in rows], dtype=torch.int64))

    vocabularies = {"verb": ["take", "wash"], "noun": ["cup", "pan", "tap"]}
    found = [
        [candidates((0, 1, 0.5, 1)), candidates((0, 2, 0.25, 2)), candidates((0, 1, 0.75, 5), (1, 2, 0.5, 1))],
        [candidates(), candidates(), candidates()],
    ]
    tables = to_detections(["a", "b"], found, vocabularies)
    assert list(tables) == ["verb", "noun", "verb,noun"]
    assert tables["noun"].class_names == ("cup", "pan", "tap")
    assert [row[1:] for row in tables["noun"].rows("a")] == [(0, 2, "tap", 0.25)]
    assert [row[1:] for row in tables["verb,noun"].rows("a")] == [(0, 1, "wash,tap", 0.75), (1, 2, "take,pan", 0.5)]
    assert tables["verb,noun"].rows("b") == []
    assert list(to_detections([], [], vocabularies)) == ["verb", "noun"]

    whole = [
        VideoDetections(name, Path(f"{name}.mp4"), 2.0, 30.0, 60, to_detections([name], [one], vocabularies))
        for name, one in zip(["a", "b"], found, strict=True)
    ]
    joined = join_tables(whole)
    assert {name: table.rows("a") for name, table in joined.items()} == {
        name: table.rows("a") for name, table in tables.items()
    }
    write_tables(tmp_path / "found.json", joined)
    assert {path.name for path in tmp_path.iterdir()} == {
        "found-verb.json", "found-noun.json", "found-verb-noun.json",
    }  # fmt: skip
    read = read_predictions(tmp_path / "found-verb-noun.json")
    assert read.rows("a") == tables["verb,noun"].rows("a")
