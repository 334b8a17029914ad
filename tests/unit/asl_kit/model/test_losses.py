"""The detection losses, against values worked out by hand, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from asl_kit.model.losses import at_least_float32, diou_loss, end_quality, focal_loss, temporal_iou, video_label_loss

LN2 = math.log(2)


@pytest.mark.parametrize(
    ("logit", "target", "expected"),
    [
        (0.0, 1.0, 0.25 * 0.25 * LN2),  # alpha (1 - 1/2)^2 -log(1/2)
        (0.0, 0.0, 0.75 * 0.25 * LN2),
        (math.log(3), 1.0, 0.25 * 0.0625 * math.log(4 / 3)),  # probability 3/4
        (math.log(3), 0.0, 0.75 * 0.5625 * math.log(4)),
        (0.0, 0.5, 0.5 * 0.25 * LN2),  # a smoothed target
        (80.0, 1.0, 0.0),
        (-80.0, 1.0, 0.25 * 80),
    ],
    ids=["even, positive", "even, negative", "right", "wrong", "smoothed", "saturated right", "saturated wrong"],
)
def test_focal_loss(logit: float, target: float, expected: float) -> None:
    assert focal_loss(torch.tensor(logit), torch.tensor(target)).item() == pytest.approx(expected, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(
    ("offsets", "targets", "iou", "loss"),
    [
        ((2.0, 2.0), (2.0, 2.0), 1.0, 0.0),
        ((1.0, 1.0), (2.0, 2.0), 0.5, 0.5),
        ((1.0, 1.0), (1.0, 3.0), 0.5, 0.5 + 1 / 16),  # centres 1 apart in a hull of 4
        ((1.0, 3.0), (3.0, 1.0), 1 / 3, 2 / 3 + 1 / 9),  # centres 2 apart in a hull of 6
        ((0.0, 0.0), (1.0, 1.0), 0.0, 1.0),
        ((0.0, 2.0), (2.0, 0.0), 0.0, 1 + 1 / 4),  # they only touch
        ((0.0, 0.0), (0.0, 0.0), 0.0, 1.0),
    ],
    ids=["equal", "inside", "one end short", "shifted", "a point", "touching", "both empty"],
)
def test_diou_loss(offsets: tuple[float, float], targets: tuple[float, float], iou: float, loss: float) -> None:
    a, b = torch.tensor(offsets), torch.tensor(targets)
    assert temporal_iou(a, b).item() == pytest.approx(iou)
    assert diou_loss(a, b).item() == pytest.approx(loss)
    assert diou_loss(b, a).item() == pytest.approx(loss), "the loss is symmetric"


@pytest.mark.parametrize(
    ("offsets", "targets", "start", "end"),
    [
        ((3.0, 7.0), (3.0, 7.0), 1.0, 1.0),
        ((2.5, 7.0), (3.0, 7.0), math.exp(-1), 1.0),  # 0.5 is 0.05 of the length
        ((3.5, 9.0), (3.0, 7.0), math.exp(-1), math.exp(-4)),
        ((30.0, 90.0), (30.0, 70.0), 1.0, math.exp(-4)),  # whatever the unit
        ((0.0, 0.0), (0.0, 0.0), 1.0, 1.0),
        ((0.0, 1.0), (0.0, 0.0), 1.0, 0.0),
    ],
    ids=["equal", "start early", "both", "ten times as long", "both empty", "empty"],
)
def test_end_quality(offsets: tuple[float, float], targets: tuple[float, float], start: float, end: float) -> None:
    a, b = torch.tensor(offsets), torch.tensor(targets)
    assert end_quality(a, b).tolist() == pytest.approx([start, end])
    assert end_quality(a.flip(0), b.flip(0)).tolist() == pytest.approx([end, start]), "mirrored in time"


@pytest.mark.parametrize("target", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_gradient_of_the_focal_loss(target: float, gamma: float) -> None:
    logits = torch.tensor([-3.0, -0.2, 0.7, 4.0], dtype=torch.float64, requires_grad=True)
    targets = torch.full((4,), target, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, targets, gamma=gamma), (logits,))


def test_gradient_of_the_diou_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    # Distances differ by more than the step of the numerical gradient, which would straddle the corner of a minimum.
    offsets = (torch.rand(16, 2, generator=generator, dtype=torch.float64) * 3 + 0.1).requires_grad_()
    targets = torch.rand(16, 2, generator=generator, dtype=torch.float64) * 3 + 0.1
    assert (offsets - targets).abs().min() > 1e-4
    assert torch.autograd.gradcheck(diou_loss, (offsets, targets))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
def test_losses_are_never_taken_in_less_than_float32(given: torch.dtype, expected: torch.dtype) -> None:
    x = torch.ones(3, 2, dtype=given)
    assert at_least_float32(x).dtype == expected
    assert focal_loss(x, x).dtype == expected
    assert diou_loss(x, x).dtype == expected


def test_video_label_loss_is_that_of_the_best_point() -> None:
    logits = torch.tensor(
        [[[0.0, math.log(3)], [math.log(9), 0.0], [50.0, 0.0]]]
    )  # softmax 1/4 3/4, 9/10 1/10, padding
    mask = torch.tensor([[True, True, False]])
    loss = video_label_loss(logits, mask, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(loss, torch.tensor([[-math.log(0.9), -math.log(1 - 0.75)]]))


def test_video_label_loss_does_not_fall_below_what_padding_knows() -> None:
    logits = torch.tensor([[[0.0, math.log(3)], [7.0, -7.0]]], requires_grad=True)
    loss = video_label_loss(logits, torch.tensor([[True, False]]), torch.tensor([[0.0, 0.0]]))
    torch.testing.assert_close(loss, torch.tensor([[LN2, math.log(4)]]))
    loss[0, 0].backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_certain_error_about_a_video_costs_no_infinity() -> None:
    logits = torch.tensor([[[200.0, -200.0]]], requires_grad=True)
    loss = video_label_loss(logits, torch.tensor([[True]]), torch.tensor([[0.0, 1.0]])).sum()
    loss.backward()
    assert 20 < loss.item() < 40
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
