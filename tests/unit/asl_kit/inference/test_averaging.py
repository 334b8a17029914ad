"""Outputs of several networks averaged at each point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import make_network
from torch.testing import assert_close

from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member, average
from asl_kit.inference.detector import Detector
from asl_kit.model.network import Localizer
from asl_kit.recipes.schema import InferenceRecipe

CLASSES = ["jump", "run", "walk"]


def drawn(seed: int, **changes: Any) -> Localizer:
    torch.manual_seed(seed)
    network = make_network(**({"levels": 3, "sequence_length": 32} | changes)).eval()
    for name, parameter in network.named_parameters():
        if "path.scale" in name or "last.conv.weight" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return network


def features(*lengths: int, dims: int = 5) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    random = np.random.default_rng(0)
    return [random.standard_normal((length, dims), dtype=np.float32) for length in lengths]


def detector(*members: Member, names: dict[str, list[str]] | None = None, **settings: Any) -> Detector:
    return Detector(members, names or {"action": CLASSES}, InferenceRecipe(window_length=64, **settings))


@pytest.mark.parametrize("lengths", [(29,), (150,), (30, 29)], ids=["one", "in windows", "together"])
def test_the_mean_of_what_each_says(lengths: tuple[int, ...]) -> None:
    """Networks of other widths, padding and branches; classes in another order; other columns; weights."""
    first = Member(drawn(0), torch.tensor([0, 1, 2, 3, 4]), None, 1.0)
    other = drawn(1, feature_dims=(2,), padding="full", width=32, sensitivity={"instance_level": False})
    second = Member(other, torch.tensor([3, 1]), torch.tensor([2, 0, 1]), 3.0)
    videos = features(*lengths)
    fused = detector(first, second).run(videos)
    for row, video in enumerate(videos):
        one, two = (detector(Member(member.network)).run([video[:, member.columns]]) for member in (first, second))
        inside = fused.mask[row]
        assert int(inside.sum()) == sum(-(-len(video) // 2**level) for level in range(3))
        last = [-(-len(video) // 2**level) for level in range(3)]

        def valid(values: torch.Tensor, sizes: tuple[int, ...], last: list[int] = last) -> torch.Tensor:
            levels = values[0].split(sizes)
            return torch.cat([level[:count] for level, count in zip(levels, last, strict=True)])

        logits = [valid(one.logits, one.points.sizes), valid(two.logits, two.points.sizes)[:, [1, 2, 0]]]
        assert_close(fused.logits[row, inside], (logits[0] + 3 * logits[1]) / 4, atol=1e-4, rtol=1e-4)
        offsets = [valid(each.offsets, each.points.sizes) for each in (one, two)]
        assert_close(fused.offsets[row, inside], (offsets[0] + 3 * offsets[1]) / 4, atol=1e-4, rtol=1e-4)
        assert two.sensitivity is None
        assert fused.sensitivity is not None
        assert one.sensitivity is not None
        assert_close(fused.sensitivity[row, inside], valid(one.sensitivity, one.points.sizes), atol=1e-5, rtol=1e-5)
        assert_close(fused.points.position[inside], valid(one.points.position[None], one.points.sizes))


@pytest.mark.parametrize("head", ["offsets", "trident"])
def test_a_network_with_itself_is_that_network(head: str) -> None:
    network = drawn(0, head=head)
    (video,) = features(150)
    grid = FeatureGrid(0.5, 1.0, 150)
    alone = detector(Member(network)).detect(video, grid, 150.0)
    twice = detector(Member(network), Member(network)).detect(video, grid, 150.0)
    assert len(alone[0].scores) > 10
    for expected, found in zip(alone[0], twice[0], strict=True):
        assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_verbs_of_one_network_and_nouns_of_another() -> None:
    """As one network whose head has both: the classes of each, pairs of both, offsets averaged."""
    verbs, nouns = drawn(0, classes=2), drawn(1, classes=3)
    members = [Member(verbs, None, torch.tensor([0, 1])), Member(nouns, None, torch.tensor([2, 3, 4]))]
    names = {"verb": ["take", "wash"], "noun": ["cup", "pan", "tap"]}
    (video,) = features(40)
    fused = detector(*members, names=names).run([video])
    each = [detector(Member(network)).run([video]) for network in (verbs, nouns)]
    assert_close(fused.logits, torch.cat([one.logits for one in each], dim=2))
    assert_close(fused.offsets, (each[0].offsets + each[1].offsets) / 2)
    found = detector(*members, names=names).detect(video, FeatureGrid(0.5, 1.0, 40), 40.0)
    assert len(found) == 3
    assert len(found[2].scores) > 5


def test_boundary_scores_are_averaged_by_class() -> None:
    """With the trident head: a network, and another with the same outputs, whose classes are in another order."""
    first, second = drawn(0, head="trident", trident_bins=4), drawn(0, head="trident", trident_bins=4)
    order = torch.tensor([2, 0, 1])
    for part in (second.classification_head, second.localization_head.start, second.localization_head.end):
        for parameter in part.last.parameters():
            parameter.data = parameter.data[order]
    (video,) = features(29)
    alone = detector(Member(first)).run([video])
    fused = detector(Member(first), Member(second, None, order)).run([video])
    assert_close(fused.logits, alone.logits)
    assert_close(fused.offsets, alone.offsets)


def test_one_output_is_passed_on() -> None:
    member = Member(drawn(0))
    whole = detector(member).run(features(20))
    assert average([whole], [member], 3) is whole
