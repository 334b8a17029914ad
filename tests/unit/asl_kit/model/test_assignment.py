"""Which point answers for which segment, against a plain loop over points and segments."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch

from asl_kit.model.assignment import UNLABELLED, Targets, Truth, assign
from asl_kit.model.network import Points


def pyramid(length: int, levels: int) -> Points:
    """Return the points of a pyramid whose regression ranges are [0, 4], [4, 8], ... features."""
    sizes = [length // 2**level for level in range(levels)]
    strides = [2**level for level, size in enumerate(sizes) for _ in range(size)]
    bounds = [0.0, *(4.0 * 2**level for level in range(levels - 1)), math.inf]
    return Points(
        position=torch.tensor([float(i * 2**level) for level, size in enumerate(sizes) for i in range(size)]),
        stride=torch.tensor([float(stride) for stride in strides]),
        shortest=torch.tensor([bounds[level] for level, size in enumerate(sizes) for _ in range(size)]),
        longest=torch.tensor([bounds[level + 1] for level, size in enumerate(sizes) for _ in range(size)]),
        sizes=tuple(sizes),
    )


def plainly(
    points: Points,
    mask: list[bool],
    segments: list[list[float]],
    labels: list[list[int]],
    *,
    classes: int,
    radius: float,
    levels: str = "by_length",
) -> list[tuple[int, list[int], list[float], list[int]] | None]:
    """Return, of one video, what each point answers for: (segment, classes, distances in strides, labels)."""
    found: list[tuple[int, list[int], list[float], list[int]] | None] = []
    columns = (points.position, points.stride, points.shortest, points.longest)
    for inside, *numbers in zip(mask, *(column.tolist() for column in columns), strict=True):
        position, stride, shortest, longest = numbers
        candidates = []
        for number, (start, end) in enumerate(segments):
            if not start < position < end or not abs(position - (start + end) / 2) < radius * stride:
                continue
            if levels == "all" or shortest <= max(position - start, end - position) <= longest:
                candidates.append((end - start, number))
        if not inside or not candidates:
            found.append(None)
            continue
        length, winner = min(candidates)
        equal = [number for other, number in candidates if other <= length + 1e-3]
        given = {label for number in equal for label in labels[number] if label != UNLABELLED}
        own = [
            mine if mine != UNLABELLED else max(labels[number][place] for number in equal)
            for place, mine in enumerate(labels[winner])
        ]
        start, end = segments[winner]
        distances = [(position - start) / stride, (end - position) / stride]
        found.append((winner, [int(label in given) for label in range(classes)], distances, own))
    return found


def check(targets: Targets, video: int, expected: list[tuple[int, list[int], list[float], list[int]] | None]) -> None:
    assert targets.positive[video].tolist() == [answer is not None for answer in expected]
    for point, answer in enumerate(expected):
        if answer is not None:
            segment, classes, distances, labels = answer
            assert targets.segment[video, point] == segment
            assert targets.classes[video, point].tolist() == classes
            assert targets.offsets[video, point].tolist() == pytest.approx(distances)
            assert targets.labels[video, point].tolist() == labels


@pytest.mark.parametrize("vocabularies", [1, 2])
@pytest.mark.parametrize("levels", ["by_length", "all"])
@pytest.mark.parametrize("radius", [0.5, 1.5, 100.0, "segment"])
def test_equals_a_plain_loop(vocabularies: int, radius: float | Literal["segment"], levels: Any) -> None:
    """Ends on points, centres at the radius and distances at the ends of a range are all among the cases."""
    chance = torch.Generator().manual_seed(0)
    points = pyramid(32, 3)
    for _ in range(20):
        counts = torch.randint(0, 7, (3,), generator=chance).tolist()
        # On a grid of half features, so that there are ties; a video without a segment among them.
        ends = [torch.randint(0, 64, (count, 2), generator=chance).sort(dim=1).values / 2 for count in counts]
        segments = [pairs + torch.tensor([0.0, 0.5]) for pairs in ends]
        labels = [torch.randint(0, 3, (count, vocabularies), generator=chance) for count in counts]
        for video in labels:
            for vocabulary in range(1, vocabularies):  # the labels of the second are 3, 4, 5, or there is none
                video[:, vocabulary] += 3
                video[video[:, vocabulary] == 5, vocabulary] = UNLABELLED
        mask = torch.rand((3, len(points.position)), generator=chance) > 0.1
        truth = Truth.collate(segments, labels, "cpu")
        assert truth.segments.shape == (3, max(1, *counts), 2)
        assert truth.mask.sum(1).tolist() == counts
        targets = assign(points, mask, truth, classes=6, center_radius=radius, levels=levels)
        allowed = math.inf if radius == "segment" else radius
        for video in range(3):
            own = (mask[video].tolist(), segments[video].tolist(), labels[video].tolist())
            check(targets, video, plainly(points, *own, classes=6, radius=allowed, levels=levels))


@pytest.mark.parametrize(
    ("longer", "both"), [(0.0, True), (0.0009, True), (0.0011, False)], ids=["equal", "within", "beyond"]
)
def test_segments_that_are_nearly_as_short_add_their_classes(longer: float, both: bool) -> None:
    segments = torch.tensor([[1.5, 4.5], [1.5, 4.5 + longer]], dtype=torch.float64)
    truth = Truth.collate([segments], [torch.tensor([[0], [2]])], "cpu")
    targets = assign(pyramid(8, 1), torch.ones(1, 8, dtype=torch.bool), truth, classes=3, center_radius=1.5)
    assert targets.classes[0, 3].tolist() == [1, 0, int(both)]
    assert targets.segment[0, 3] == 0


def test_two_segments_of_one_class_are_one_class() -> None:
    truth = Truth.collate([torch.tensor([[1.5, 4.5], [1.5, 4.5]])], [torch.tensor([[1], [1]])], "cpu")
    targets = assign(pyramid(8, 1), torch.ones(1, 8, dtype=torch.bool), truth, classes=3, center_radius=1.5)
    assert targets.classes[0, 3].tolist() == [0, 1, 0]


def test_videos_without_a_segment() -> None:
    truth = Truth.collate([torch.zeros(0, 2)] * 2, [torch.zeros(0, 1, dtype=torch.int64)] * 2, "cpu")
    assert truth.segments.shape == (2, 1, 2)
    targets = assign(pyramid(8, 2), torch.ones(2, 12, dtype=torch.bool), truth, classes=3, center_radius=1.5)
    assert not targets.positive.any()
    assert not targets.classes.any()


def test_no_gradient_flows() -> None:
    segments = torch.tensor([[1.5, 4.5]], requires_grad=True)
    truth = Truth.collate([segments], [torch.tensor([[0]])], "cpu")
    targets = assign(pyramid(8, 1), torch.ones(1, 8, dtype=torch.bool), truth, classes=1, center_radius=1.5)
    assert not targets.offsets.requires_grad
