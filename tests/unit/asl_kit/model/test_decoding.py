"""Candidates of a batch of videos: which, in which order, and in tensors whose size depends on no value."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.networks import make_network
from torch import Tensor

from asl_kit.model.decoding import Candidates, decode, decode_combinations

NETWORK = make_network(levels=2)
LIMITS: dict[str, Any] = {"min_score": 0.1, "candidates_per_level": 4, "min_length": 0.05}


def of_video(found: Candidates, video: int) -> list[tuple[float, float, float, int]]:
    rows = zip(found.segments[video].tolist(), found.scores[video].tolist(), found.labels[video].tolist(), strict=True)
    return [(*segment, score, label) for segment, score, label in rows if score]


def plain(logits: Tensor, offsets: Tensor, factor: Tensor, sizes: list[int]) -> list[tuple[float, float, float, int]]:
    """Return a video's candidates, by sorting."""
    found, first = [], 0
    for level, size in enumerate(sizes):
        scores = logits[first : first + size].sigmoid() * factor[first : first + size, None]
        ranked = sorted(
            (-scores[point, label].item(), point, label) for point in range(size) for label in range(logits.shape[1])
        )
        for score, point, label in ranked[:4]:
            start = (point - offsets[first + point, 0].item()) * 2**level
            end = (point + offsets[first + point, 1].item()) * 2**level
            if -score > 0.1 and end - start > 0.05:
                found.append((start, end, -score, label))
        first += size
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(3))
def test_equals_sorting_each_video(seed: int, dtype: torch.dtype) -> None:
    """With many equal scores, in bfloat16 and as drawn; more candidates than are kept; points of the padding."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-6, 4, (3, 12, 5), generator=generator).to(dtype)
    logits[1] = -9.0  # a video without candidates
    offsets = (torch.rand(3, 12, 2, generator=generator) * 3 - 1).clamp(min=0).to(dtype)
    factor = torch.ones(3, 12)
    factor[2, 4:8] = factor[2, 10:] = 0
    found = decode(logits, offsets, factor, NETWORK.points([8, 4]), **LIMITS)
    assert found.scores.shape == (3, 8)
    for video in range(3):
        expected = plain(logits[video].float(), offsets[video].float(), factor[video], [8, 4])
        assert of_video(found, video) == [pytest.approx(row) for row in expected]
    assert of_video(found, 1) == []
    assert len(of_video(found, 0)) > 3


def test_padding_changes_nothing_not_even_the_order_of_equal_scores() -> None:
    logits = torch.randint(-3, 3, (1, 6, 5), generator=torch.Generator().manual_seed(0)).float()
    offsets, ones = torch.ones(1, 6, 2), torch.ones(1, 6)
    alone = decode(logits, offsets, ones, NETWORK.points([4, 2]), **LIMITS)

    def padded(x: Tensor, value: float) -> Tensor:
        spare = torch.full((1, 40, *x.shape[2:]), value)
        return torch.cat((x[:, :4], spare[:, :30], x[:, 4:], spare[:, 30:]), dim=1)

    found = decode(padded(logits, 2.0), padded(offsets, 5.0), padded(ones, 0.0), NETWORK.points([34, 12]), **LIMITS)
    assert of_video(found, 0) == of_video(alone, 0)


def test_sizes_depend_on_no_value() -> None:
    """On the meta device there are no values: whatever would make a GPU wait for the host is refused."""
    network = make_network(levels=2, classes=5).to("meta").eval()
    output = network(torch.zeros(3, 16, 5, device="meta"), torch.ones(3, 16, dtype=torch.bool, device="meta"))
    everywhere = (output.offsets, output.mask.float(), output.points)
    assert decode(output.logits, *everywhere, **LIMITS).segments.shape == (3, 8, 2)
    pairs = decode_combinations(output.logits.split([2, 3], dim=2), *everywhere, classes_per_point=2, **LIMITS)
    assert pairs.labels.shape == (3, 8)
