"""The contrastive loss, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from asl_kit.model.assignment import Truth
from asl_kit.model.contrastive import (
    ABSENT,
    background_points,
    contrastive_loss,
    info_nce,
    inside_segments,
    region_contrastive_loss,
    region_means,
    sensitive_points,
)


def truth_of(*videos: list[tuple[float, float, int]]) -> Truth:
    segments = [torch.tensor([(s, e) for s, e, _ in video]).reshape(-1, 2) for video in videos]
    labels = [torch.tensor([c for *_, c in video], dtype=torch.int64).reshape(-1, 1) for video in videos]
    return Truth.collate(segments, labels, "cpu")


def test_points_inside_are_half_open() -> None:
    inside = inside_segments(truth_of([(1.0, 4.0, 0), (2.5, 2.9, 1)]), 6)
    assert inside[0, 0].nonzero().flatten().tolist() == [1, 2, 3]
    assert not inside[0, 1].any(), "a segment between two points holds none"


@pytest.mark.parametrize(
    ("share", "expected"), [(0.2, [3]), (0.4, [3, 1]), (0.01, [3]), (1.0, [0, 1, 2, 3, 4])], ids=str
)
def test_sensitive_points_are_the_highest(share: float, expected: list[int]) -> None:
    h = torch.tensor([[[0.1, 0.8, 0.2, 0.9, 0.3, 5.0]]])
    inside = torch.tensor([[[True, True, True, True, True, False]]])
    assert sensitive_points(h, inside, share)[0, 0].nonzero().flatten().tolist() == sorted(expected)


def test_background_lies_beside_the_segment_and_in_no_action() -> None:
    # 10 points inside [10, 20), so k = 2: points 8, 9 and 20, 21; but 20 lies in another action.
    truth = truth_of([(10.0, 20.0, 0), (20.0, 21.0, 1)])
    inside = inside_segments(truth, 40)
    beside = background_points(truth, inside, torch.ones(1, 40, dtype=torch.bool), 0.2)
    assert beside[0, 0].nonzero().flatten().tolist() == [8, 9, 21]


def test_background_stays_in_the_video() -> None:
    truth = truth_of([(5.0, 10.0, 0)])
    valid = torch.arange(16)[None] < 10
    beside = background_points(truth, inside_segments(truth, 16), valid, 0.2)
    assert beside[0, 0].nonzero().flatten().tolist() == [4]


def test_info_nce_by_hand() -> None:
    anchors = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1])
    background, has_background = torch.tensor([[0.0, 5.0]]), torch.tensor([True])
    # Anchors 0 and 1 agree (similarity 1) and are orthogonal to the two negatives; anchor 2 has no positive.
    expected = -math.log(math.e / (math.e + 2))
    assert info_nce(anchors, labels, background, has_background, temperature=1.0).item() == pytest.approx(expected)


def test_one_class_is_contrasted_with_the_background_only() -> None:
    anchors, labels = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([0, 0])
    background = torch.tensor([[0.0, 1.0]])
    loss = info_nce(anchors, labels, background, torch.tensor([True]), temperature=0.5)
    pair = math.exp(0.6 / 0.5)
    by_hand = [-math.log(pair / (pair + math.exp(beside / 0.5))) for beside in (0.0, 0.8)]
    assert loss.item() == pytest.approx(sum(by_hand) / 2)
    without = info_nce(anchors, labels, background, torch.tensor([False]), temperature=0.5)
    assert without.item() == pytest.approx(0.0), "nothing to contrast with"


def test_rows_that_do_not_count_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    anchors, background = torch.randn(6, 3, generator=generator), torch.randn(4, 3, generator=generator)
    labels, has_background = torch.tensor([0, ABSENT, 0, 1, ABSENT, 1]), torch.tensor([True, False, True, False])
    counts = labels != ABSENT
    expected = info_nce(
        anchors[counts], labels[counts], background[has_background], torch.ones(2, dtype=torch.bool), temperature=0.5
    )
    torch.testing.assert_close(info_nce(anchors, labels, background, has_background, temperature=0.5), expected)


def test_one_segment_alone_pairs_its_two_features() -> None:
    features = torch.randn(1, 12, 4, generator=torch.Generator().manual_seed(0))
    truth = truth_of([(2.0, 10.0, 0)])
    h = torch.stack((torch.arange(12.0), -torch.arange(12.0)), -1).expand(1, 1, 12, 2)
    loss = contrastive_loss(features, h, truth, torch.ones(1, 12, dtype=torch.bool), share=0.2, temperature=0.1)
    assert loss.item() > 0


@pytest.mark.parametrize("video", [[], [(3.2, 3.8, 0)]], ids=["no segment", "segment between two points"])
def test_no_pair_gives_exactly_zero_and_finite_gradients(video: list[tuple[float, float, int]]) -> None:
    features = torch.randn(1, 12, 4, requires_grad=True)
    truth = truth_of(video)
    h = torch.zeros(1, 1, 12, 2)
    loss = contrastive_loss(features, h, truth, torch.ones(1, 12, dtype=torch.bool), share=0.2, temperature=0.1)
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_gradients_are_finite_without_any_negative() -> None:
    features = torch.randn(1, 8, 4, requires_grad=True)
    truth = truth_of([(0.0, 8.0, 0)])  # no other class, no background
    h = torch.stack((torch.arange(8.0), -torch.arange(8.0)), -1).expand(1, 1, 8, 2)
    loss = contrastive_loss(features, h, truth, torch.ones(1, 8, dtype=torch.bool), share=0.2, temperature=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_gradient_of_info_nce() -> None:
    generator = torch.Generator().manual_seed(0)
    anchors, background = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator).unbind()
    labels = torch.tensor([0, 0, 1, 1, 2])  # the last has no positive
    some = torch.tensor([True, False, True, True, True])
    run = lambda a, b: info_nce(a, labels, b, some, temperature=0.5)  # noqa: E731
    assert torch.autograd.gradcheck(run, (anchors.requires_grad_(), background.requires_grad_()))


def test_gradient_of_the_contrastive_loss_reaches_sensitive_and_background_points_only() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 24, 3, dtype=torch.float64, generator=generator).requires_grad_()
    truth = truth_of([(4.0, 9.0, 0), (14.0, 19.0, 1)])
    h = torch.rand(1, 2, 24, 2, generator=generator)
    valid = torch.ones(1, 24, dtype=torch.bool)

    def run(x: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(x, h, truth, valid, share=0.2, temperature=0.5)

    assert torch.autograd.gradcheck(run, (features,))
    run(features).backward()
    assert features.grad is not None
    inside = inside_segments(truth, 24)
    chosen = background_points(truth, inside, valid, 0.2)
    for kind in (0, 1):
        chosen = chosen | sensitive_points(h[..., kind], inside, 0.2)
    moved = features.grad[0].abs().sum(1) > 0
    assert moved.tolist() == chosen[0].any(0).tolist()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (2.0, 5.0, 3.5),
        (-4.0, 2.0, 1.0),  # cut at 0
        (3.2, 3.2, 3.7),  # made one point long
        (30.0, 39.5, 34.75),
    ],
    ids=["whole", "cut", "empty", "long"],
)
def test_means_of_regions(start: float, end: float, expected: float) -> None:
    """Of features that are their own positions, so that the mean is the middle of the region."""
    weights = region_means(torch.tensor([[start]]), torch.tensor([[end]]), 41, longest=20.0)
    assert (weights @ torch.arange(41.0)).item() == pytest.approx(expected, rel=1e-5)
    assert weights.sum().item() == pytest.approx(1)


def test_region_contrastive_loss_by_hand() -> None:
    """Every segment lies in a stretch of its own direction, so that all of its three features are that direction."""
    features = torch.zeros(1, 60, 2)
    features[:, :30, 0] = 1
    features[:, 30:, 1] = 2
    truth, valid = truth_of([(10.0, 20.0, 0), (40.0, 50.0, 1)]), torch.ones(1, 60, dtype=torch.bool)
    loss = region_contrastive_loss(features, truth, valid, share=0.2, temperature=0.5)
    # An anchor with itself: exp(0); with the other of its segment and its background: exp(2); with the other three: 1.
    of_anchor = math.log((1 + 2 * math.exp(2) + 3) / (1 + math.exp(2)))
    assert loss.item() == pytest.approx(4 * of_anchor, rel=1e-5)
    absent = truth._replace(labels=torch.tensor([[[0], [ABSENT]]]))  # its features are ignored, but not its background
    loss = region_contrastive_loss(features, absent, valid, share=0.2, temperature=0.5)
    assert loss.item() == pytest.approx(2 * math.log((1 + 2 * math.exp(2) + 1) / (1 + math.exp(2))), rel=1e-5)


def test_region_contrastive_loss_without_segments_is_zero() -> None:
    features = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    valid = torch.ones(2, 20, dtype=torch.bool)
    loss = region_contrastive_loss(features, truth_of([], []), valid, share=0.2, temperature=0.07)
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert not features.grad.any()
