"""Detection at any length: windows and stitching."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.networks import make_network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asl_kit.detections.table import DetectionTables
from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member
from asl_kit.inference.detector import Detector
from asl_kit.inference.windows import plan_windows, run_whole
from asl_kit.model.decoding import Candidates
from asl_kit.model.network import Localizer
from asl_kit.recipes.schema import InferenceRecipe


@given(st.integers(1, 3000), st.integers(1, 500), st.sampled_from([1, 2, 8, 32]), st.none() | st.integers(1, 400))
def test_kept_parts_tile_the_video(length: int, window: int, coarsest: int, reach: int | None) -> None:
    windows = list(plan_windows(length, window, coarsest, reach=reach))
    assert windows[0].keep_start == 0
    assert windows[-1].keep_stop == length
    for left, right in itertools.pairwise(windows):
        assert left.keep_stop == right.keep_start
        assert left.stop - left.keep_stop >= (reach or 0)
        assert right.keep_start - right.start >= (reach or 0)
    for one in windows:
        assert 0 <= one.start <= one.keep_start < one.keep_stop <= one.stop <= length
        assert one.start % coarsest == 0
        assert one.stop - one.start <= max(window, 3 * ((reach or 0) + coarsest))


TRAINING_LENGTH = 24
TWO = {"action": ["jump", "run"]}


@functools.cache
def drawn_network(*, instance_level: bool = False, **changes: Any) -> Localizer:
    """Return a network whose every part matters: its own small initial scales and last layers are drawn anew."""
    torch.manual_seed(0)
    fields: dict[str, Any] = {"feature_dims": (3, 3), "classes": 2, "levels": 3, "stem_blocks": 1}
    fields |= {"sequence_length": TRAINING_LENGTH, "sensitivity": {"instance_level": instance_level}}
    network = make_network(**(fields | changes)).eval()
    for name, parameter in network.named_parameters():
        if "scale" in name or "last" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return network


NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a window of each level": {"attention_window": (3, 7, 1)},
    "windows of 1": {"attention_window": 1},
    "position embedding": {"position_embedding": True},
    "full padding": {"padding": "full", "position_embedding": True},
    "no stem, deep heads": {"stem_blocks": 0, "attention_window": (0, 3, 3), "head_layers": 5, "projection_layers": 1},
    "branches deeper than heads": {"instance_level": True, "head_layers": 1},
    "trident head": {"head": "trident", "trident_bins": 7, "trident_kernel": 5},
    "max pooling, wide kernels": {"encoder": "maxpool", "stem_blocks": 0, "head_kernel": 7},
}


def run(network: Localizer, features: Tensor, window_length: int) -> list[Tensor]:
    whole = run_whole(network, features, window_length=window_length, precision=torch.float32)
    outputs = [part for part in (whole.logits, whole.offsets, whole.sensitivity) if part is not None]
    return [whole.points.position, torch.cat(outputs, dim=2)[0]]


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_windows_say_what_the_whole_says(changes: dict[str, Any], data: st.DataObject) -> None:
    """Of any length up to 20 training sequences, in windows of any length, at every point of the pyramid."""
    network = drawn_network(**changes)
    length = data.draw(st.integers(1, 20 * TRAINING_LENGTH))
    window = data.draw(st.integers(1, length))
    features = torch.randn(length, 6, generator=torch.Generator().manual_seed(length))
    whole = run(network, features, length)
    assert whole[1].std() > 0.1 or length < 8  # there is something to lose
    for expected, found in zip(whole, run(network, features, window), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_reach_is_how_far_outputs_depend_on_features(changes: dict[str, Any]) -> None:
    """No output farther away than the reach changes with a feature; some output at nearly that distance does."""
    network = drawn_network(**(changes | {"sequence_length": 512}))
    assert network.reach is not None
    features = torch.randn(512, 6, generator=torch.Generator().manual_seed(0))
    place = 256
    changed = features.clone()
    changed[place] += 100
    (position, before), (_, after) = (run(network, one, 512) for one in (features, changed))
    distance = (position[(before != after).any(1)] - place).abs().max()
    assert network.reach / 2 < distance <= network.reach


def test_attention_without_a_window_reaches_everywhere() -> None:
    assert drawn_network(attention_window=(3, 3, 0)).reach is None
    assert drawn_network(attention_window=0).reach is None


@pytest.mark.parametrize("padding", ["spare", "full"])
def test_statistics_of_the_whole_video_are_of_the_whole_video(padding: str) -> None:
    network = drawn_network(encoder="sgp", head="trident", padding=padding)
    assert network.reach is None
    features = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    for expected, found in zip(run(network, features, 500), run(network, features, 50), strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_windowed_detection_equals_detection_in_one_piece() -> None:
    network = drawn_network(sequence_length=64)
    features = torch.randn(700, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for length in (1000, 160):
        detector = Detector([Member(network)], TWO, InferenceRecipe(max_detections=50, window_length=length))
        found += detector.detect(features.numpy(), FeatureGrid(0.25, 0.5, 700), 350.0)
    assert len(found[0].scores) == 50
    for whole, windowed in zip(*found, strict=True):
        torch.testing.assert_close(windowed, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_very_short_videos(length: int) -> None:
    network = make_network(feature_dims=(6,), classes=2, attention_window=3).eval()
    detector = Detector([Member(network)], TWO, InferenceRecipe(min_score=0.0))
    (found,) = detector.detect(torch.randn(length, 6).numpy(), FeatureGrid(0.5, 1.0, length), float(length))
    assert (found.segments >= 0).all()
    assert (found.segments <= length).all()
    assert (found.segments[:, 1] > found.segments[:, 0]).all()


def test_combinations_are_a_table_of_their_own() -> None:
    """Two videos, the second without detections: at once, as eval has them, and joined, as predict does."""

    def candidates(*rows: tuple[float, float, float, int]) -> Candidates:
        table = torch.tensor([row[:3] for row in rows], dtype=torch.float64).reshape(-1, 3)
        return Candidates(table[:, :2], table[:, 2], torch.tensor([row[3] for row in rows], dtype=torch.int64))

    vocabularies = {"verb": ["take", "wash"], "noun": ["cup", "pan", "tap"]}
    found = [
        [candidates((0, 1, 0.5, 1)), candidates((0, 2, 0.25, 2)), candidates((0, 1, 0.75, 5), (1, 2, 0.5, 1))],
        [candidates(), candidates(), candidates()],
    ]
    detector = Detector([Member(make_network(classes=5))], vocabularies, InferenceRecipe())
    found_tables = detector.tables(["a", "b"], found)
    tables = found_tables.named
    assert list(tables) == ["verb", "noun", "verb,noun"]
    assert tables["verb,noun"] is found_tables.combined
    assert tables["noun"].class_names == ("cup", "pan", "tap")
    assert [row[1:] for row in tables["noun"].rows("a")] == [(0, 2, "tap", 0.25)]
    assert [row[1:] for row in tables["verb,noun"].rows("a")] == [(0, 1, "wash,tap", 0.75), (1, 2, "take,pan", 0.5)]
    assert tables["verb,noun"].rows("b") == []
    assert list(detector.tables([], []).named) == ["verb", "noun"]

    joined = DetectionTables.join([detector.tables([name], [one]) for name, one in zip("ab", found, strict=True)])
    for video_id in ("a", "b"):
        rows = {name: table.rows(video_id) for name, table in tables.items()}
        assert {name: table.rows(video_id) for name, table in joined.named.items()} == rows
    assert [path.name for path in joined.files(Path("found.json"))] == [
        "found-verb.json", "found-noun.json", "found-verb-noun.json",
    ]  # fmt: skip


@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_scores_are_multiplied_by_the_sensitivity_of_their_point(power: float) -> None:
    network = drawn_network(instance_level=True, classes=5)
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    whole = run_whole(network, features, window_length=64, precision=torch.float32)
    assert whole.sensitivity is not None
    factor = whole.sensitivity[0, :, 0] ** power
    lasting = whole.offsets[0].sum(1) > 0
    first, second = (part.sigmoid().amax(1)[lasting] for part in whole.logits[0].split([2, 3], dim=1))
    best = [(score * factor[lasting]).max().item() for score in (first, second, (first * second) ** 0.5)]

    settings = InferenceRecipe(sensitivity_power=power, min_length_steps=0.0)
    detector = Detector([Member(network)], {"verb": ["take", "wash"], "noun": ["cup", "pan", "tap"]}, settings)
    found = detector.detect(features.numpy(), FeatureGrid(0.5, 1.0, 40), 40.0)
    assert [one.scores[0].item() for one in found] == pytest.approx(best, rel=1e-6)
