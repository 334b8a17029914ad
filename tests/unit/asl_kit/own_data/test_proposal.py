"""What is proposed follows from what was found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.support import make_annotation_set

from asl_extract.decoders.probe import VideoHeader
from asl_kit.own_data.proposal import propose
from asl_kit.own_data.survey import Survey
from asl_kit.recipes.files import load_recipe, to_toml_value
from asl_kit.recipes.schema import Recipe

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def survey(
    *,
    videos: int = 10,
    length_s: float = 4.0,
    segments: int = 5,
    fps: tuple[float, ...] = (30.0,),
    longest_s: float = 0,
) -> Survey:
    """Return a survey of videos of 100 s; in the first one, one segment more lasts for `longest_s`."""
    segments_s = [(place, place + length_s, "run") for place in range(segments)]
    rows = {f"v{number}": ("train", segments_s) for number in range(videos)} | {"t": ("test", [(0, 1, "run")])}
    if longest_s:
        rows["v0"] = ("train", [*segments_s, (0, longest_s, "run")])
    annotations = make_annotation_set(rows, ["run"])
    headers = {name: VideoHeader(100.0, fps[place % len(fps)]) for place, name in enumerate(annotations.videos)}
    return Survey(annotations, Path("videos"), headers, {}, {}, [], {}, "as stated", [])


def extraction(found: Survey, **changes) -> dict:
    return {choice.name: choice.value for choice in propose(found, **({"device": CPU} | changes)).extraction}


def recipe(found: Survey) -> dict:
    return {choice.name: choice.value for choice in propose(found, device=CPU).recipe}


def test_backbone_by_device() -> None:
    assert [extraction(survey(), device=device)["--backbone"] for device in (CPU, GPU)] == ["x3d_xs", "mvit_v2_s"]


@pytest.mark.parametrize(
    ("length_s", "fps", "window", "stride"),
    [
        (4.0, (30.0,), 48, 24),  # a quarter of a segment is more than half a window
        (2.0, (30.0,), 48, 15),
        (2.0, (60.0,), 96, 30),  # the same seconds
        (1.0, (30.0,), 24, 7),  # windows no longer than half of the segments
        (0.1, (30.0,), 6, 1),  # not shorter than the clip of four frames needs
    ],
)
def test_window_and_stride(length_s: float, fps: tuple[float, ...], window: int, stride: int) -> None:
    chosen = extraction(survey(length_s=length_s, fps=fps))
    assert (chosen["--window"], chosen["--stride"]) == (window, stride)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [((25.0,), None), ((29.97, 30.0), None), ((30.0, 25.0, 25.0), 25), ((25.0, 50.0, 24.0), 24), ((50.0, 25.0), 25)],
    ids=str,
)
def test_mixed_frame_rates_are_resampled(fps: tuple[float, ...], expected: int | None) -> None:
    assert extraction(survey(videos=11, fps=fps)).get("--fps") == expected


def test_random_weights_need_float32() -> None:
    chosen = extraction(survey(), weights="random")
    assert (chosen["--weights"], chosen["--dtype"]) == ("random", "float32")


UNSEEN = {"contrastive.enabled": True, "inference.sensitivity_power": 0.0}
"""What is chosen because the backbone has not seen the videos, whatever they are."""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (survey(videos=10), {"model.width": 128, "optimizer.epochs": 160}),
        (survey(videos=2), {"model.width": 128, "optimizer.epochs": 200}),
        (survey(videos=200, segments=20), {}),
        (survey(videos=2000, segments=2), {"optimizer.batch_size": 16, "optimizer.epochs": 15}),
    ],
    ids=["small", "smallest", "middle", "large"],
)
def test_recipe_by_size(found: Survey, expected: dict) -> None:
    chosen = recipe(found)
    assert chosen.items() >= (expected | UNSEEN).items()
    assert bool(chosen.keys() - UNSEEN.keys()) == bool(expected)


def test_segments_shorter_than_the_smallest_stride_allows() -> None:
    """A window of 6 frames moves by 1 frame at least: 3 features a segment, 6 at the finer scale."""
    found = survey(length_s=0.1)
    assert recipe(found)["data.time_scale"] == 2
    derived = propose(found, device=CPU).derived
    assert "data.time_scale" not in "".join(map(str, derived.columns[1].cells))
    assert "data.time_scale" not in recipe(survey(length_s=1.0))


def test_what_training_derives_is_not_set() -> None:
    """Sequence length, pyramid, regression ranges, average and precision stay `auto` or at their defaults."""
    for found in (survey(), survey(videos=2000, segments=2)):
        chosen = propose(found, device=CPU)
        settings = [f"{choice.name}={to_toml_value(choice.value)}" for choice in chosen.recipe]
        made = load_recipe(settings=settings)
        assert (made.data.sequence_length, made.model.pyramid_levels, made.run.precision) == ("auto", "auto", "auto")
        assert made.optimizer.ema_decay == Recipe().optimizer.ema_decay
        assert {choice.name for choice in chosen.left} >= {"sequence length", "pyramid levels", "precision"}


def test_a_segment_longer_than_any_sequence() -> None:
    limit = Recipe().data.max_sequence_length
    found = [
        recipe(survey(length_s=0.05, fps=(120.0,), longest_s=longest_s)).get("data.max_sequence_length")
        for longest_s in (10.0, 30.0, 99.0)
    ]
    assert found == [None, 2 * limit, 4 * limit]


def test_every_choice_has_its_reason() -> None:
    for found in (survey(), survey(fps=(25.0, 30.0)), survey(videos=2000, segments=2)):
        proposed = propose(found, device=CPU, weights="random")
        for choice in (*proposed.extraction, *proposed.recipe, *proposed.left):
            assert choice.reason
            assert "\n" not in choice.reason
