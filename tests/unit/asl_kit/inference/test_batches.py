"""Videos detected together: which, and with which result."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import make_network
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import VideoItem
from asl_kit.detections.table import Detections
from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member
from asl_kit.inference.batches import ALIKE, plan_batches, run_together
from asl_kit.inference.detector import Detector
from asl_kit.inference.suppression import suppress
from asl_kit.model.network import Localizer
from asl_kit.recipes.schema import InferenceRecipe

NETWORKS: dict[str, dict[str, Any]] = {
    "spare padding": {},
    "full padding": {"padding": "full"},
    "positions": {"position_embedding": True},
    "attention to everything": {"attention_window": 0},
    "sensitivity": {"sensitivity": {"instance_level": True}},
    "sgp, trident": {"encoder": "sgp", "head": "trident", "trident_bins": 5},
}
LENGTHS = [17, 40, 1, 0, 39, 100, 24, 37, 17, 38, 250, 30, 16]


@functools.cache
def network_of(name: str) -> Localizer:
    torch.manual_seed(0)
    network = make_network(classes=5, levels=3, sequence_length=32, **NETWORKS[name]).eval()
    for parameter_name, parameter in network.named_parameters():
        if "path.scale" in parameter_name or "last.conv.weight" in parameter_name:
            torch.nn.init.normal_(parameter, std=0.5)
    return network


class Reader(FeatureReader):
    """Features drawn when they are read."""

    def __init__(self) -> None:
        pass

    def read(self, video_id: str) -> NDArray[np.float32]:
        return np.random.default_rng(int(video_id)).standard_normal((LENGTHS[int(video_id)], 5), dtype=np.float32)


def items() -> list[VideoItem]:
    grids = [FeatureGrid(0.5, 1.0, length) for length in LENGTHS]
    nothing: tuple[Any, Any] = (np.zeros((0, 2)), np.zeros((0, 1), np.int64))
    return [VideoItem(str(number), float(grid.length), grid, *nothing) for number, grid in enumerate(grids)]


def make_detector(name: str, precision: torch.dtype = torch.float32, **settings: Any) -> Detector:
    names = {"verb": ["take", "wash"], "noun": ["cup", "pan", "tap"]}
    return Detector([Member(network_of(name))], names, InferenceRecipe(window_length=120, **settings), precision)


def columns_of(found: Detections) -> NDArray[np.float64]:
    return np.stack([found.score, found.start_s, found.end_s, found.label])


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_detected_together_as_one_by_one(name: str, per_class: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Videos of many lengths, one of them in windows; two vocabularies and their combinations; in the order asked."""
    detector = make_detector(name, per_class=per_class)
    sizes: list[int] = []

    def run(network: Localizer, videos: list[torch.Tensor], **options: Any) -> Any:
        sizes.append(len(videos))
        return run_together(network, videos, **options)

    monkeypatch.setattr("asl_kit.inference.detector.run_together", run)
    together = detector.detect_videos(items(), Reader()).named
    assert sum(sizes) > 4
    one_by_one = [detector.detect(Reader().read(one.video_id), one.grid, one.duration_s) for one in items()]
    alone = detector.tables([one.video_id for one in items()], one_by_one).named
    assert list(together) == list(alone) == ["verb", "noun", "verb,noun"]
    for key, expected in alone.items():
        assert len(expected) > 100
        assert together[key].class_names == expected.class_names
        for video in range(len(LENGTHS)):
            (found, values) = (columns_of(table)[:, table.video == video] for table in (together[key], expected))
            np.testing.assert_allclose(found[0], values[0], atol=1e-4)  # scores, in descending order
            # Those of equal scores up to rounding may come in another order: each has a partner nevertheless.
            assert (np.abs(found[:, :, None] - values[:, None]).max(0) < 1e-3).any(0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_together_are_as_exact_as_one_by_one(name: str) -> None:
    """Probabilities in float32, together and alone, beside those of the same network in float64."""
    network, wide = network_of(name), copy.deepcopy(network_of(name)).double()
    videos = [torch.from_numpy(Reader().read(video)) for video in ("1", "4", "7")]  # 40, 39 and 37 features
    if len(list(plan_batches([40, 39, 37], [network], 4096))) > 1:
        videos = videos[:1] * 3  # run together only where they are padded to one length
    together = run_together(network, videos, precision=torch.float32)
    for number, video in enumerate(videos):
        alone = run_together(network, [video], precision=torch.float32)
        padded = network.padded_length(len(video))
        features = torch.nn.functional.pad(video.double(), (0, 0, 0, padded - len(video)))[None]
        with torch.inference_mode():
            exact = wide(features, torch.arange(padded)[None] < len(video))
        kept = [each.logits[row][each.mask[row]] for each, row in ((together, number), (alone, 0), (exact, 0))]
        for found in kept[:2]:
            torch.testing.assert_close(found.double().sigmoid(), kept[2].sigmoid(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_lower_precision(precision: torch.dtype) -> None:
    exact, low = (
        make_detector("sensitivity", dtype).detect_videos(items(), Reader()).by_vocabulary["noun"]
        for dtype in (torch.float32, precision)
    )
    assert abs(len(exact) - len(low)) < len(exact) / 20
    best = [
        [table.score[table.video == video].max(initial=0) for video in range(len(LENGTHS))] for table in (exact, low)
    ]
    np.testing.assert_allclose(best[1], best[0], rtol=0.1)


def test_no_video_and_videos_without_detections() -> None:
    nothing = make_detector("spare padding").detect_videos([], Reader())
    assert [len(table) for table in nothing.by_vocabulary.values()] == [0, 0]
    none = make_detector("spare padding", candidate_min_score=1.0).detect_videos(items(), Reader())
    assert [len(table) for table in none.named.values()] == [0, 0, 0]
    assert none.by_vocabulary["verb"].video_ids == tuple(map(str, range(len(LENGTHS))))


@given(
    st.lists(st.integers(1, 400), max_size=60), st.integers(1, 2000), st.sampled_from(["spare padding", "full padding"])
)
def test_batches_are_bounded_and_of_like_length(lengths: list[int], most: int, name: str) -> None:
    network = network_of(name)
    batches = list(plan_batches(lengths, [network], most))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = [network.padded_length(lengths[index]) for index in batch]
        assert len(batch) == 1 or len(batch) * max(padded) <= most
        assert min(padded) >= ALIKE * max(padded)
        assert name == "spare padding" or len(set(padded)) == 1


def test_videos_of_one_length_fill_a_batch() -> None:
    assert list(map(len, plan_batches([20] * 10, [network_of("spare padding")], 100))) == [4, 4, 2]  # padded to 24


def test_suppression_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    within: list[int] = []

    def count(*arguments: Any, **options: Any) -> Any:
        within.append(torch.get_num_threads())
        return suppress(*arguments, **options)

    monkeypatch.setattr("asl_kit.inference.detector.suppress", count)
    torch.set_num_threads(3)
    try:
        make_detector("spare padding").detect_videos(items()[:1], Reader())
        assert (within, torch.get_num_threads()) == ([1], 3)
    finally:
        torch.set_num_threads(before)


def test_a_long_window_makes_no_larger_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def plan(lengths: list[int], networks: list[Localizer], most: int) -> Any:
        asked.append(most)
        return plan_batches(lengths, networks, most)

    monkeypatch.setattr("asl_kit.inference.detector.plan_batches", plan)
    for window in ("auto", 10**6, 120):
        detector = Detector(
            [Member(network_of("spare padding"))], {"all": list("abcde")}, InferenceRecipe(window_length=window)
        )
        detector.detect_videos([], Reader())
    assert asked == [4096, 4096, 120]
