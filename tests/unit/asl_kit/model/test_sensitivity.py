"""Formulas of the sensitivity evaluator, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from asl_kit.model.sensitivity import (
    SMALLEST_SIGMA,
    ClassSensitivity,
    combine,
    loss_weights,
    quality_loss,
    relative_position,
)


@pytest.mark.parametrize(
    ("position", "expected"),
    [(2.0, -0.5), (6.0, 0.0), (10.0, 0.5), (4.0, -0.25)],
    ids=["start", "centre", "end", "1/4"],
)
def test_relative_position(position: float, expected: float) -> None:
    u = relative_position(torch.tensor(position), torch.tensor(2.0), torch.tensor(10.0))
    assert u.item() == pytest.approx(expected)


def test_initial_curves() -> None:
    u = torch.tensor([-0.5, 0.0, 0.5])
    p = ClassSensitivity(4)(u, torch.tensor([[0], [1], [3]]))
    at_half, at_one = math.exp(-0.125), math.exp(-0.5)
    expected = [[at_half, (1 + at_one) / 2], [1.0, at_half], [at_half, (1 + at_one) / 2]]
    torch.testing.assert_close(p, torch.tensor(expected))


def test_curves_differ_by_class_after_learning() -> None:
    curves = ClassSensitivity(2)
    with torch.no_grad():
        curves.mu[1, 0] = 0.25
    p = curves(torch.tensor([0.25, 0.25]), torch.tensor([[0], [1]]))
    assert p[0, 0].item() == pytest.approx(math.exp(-(0.25**2) / 2))
    assert p[1, 0].item() == pytest.approx(1.0)


def test_sigma_cannot_vanish() -> None:
    curves = ClassSensitivity(1)
    with torch.no_grad():
        curves.raw_sigma.fill_(-1e4)
    assert curves.sigma.min().item() == pytest.approx(SMALLEST_SIGMA)
    assert curves(torch.tensor([0.5]), torch.tensor([[0]])).isfinite().all()


def test_widths_tell_of_collapse() -> None:
    curves = ClassSensitivity(2)
    assert curves.widths() == pytest.approx(
        {"mean sigma of classification": 1, "mean sigma of start": 1, "mean sigma of end": 1, "collapsed curves": 0}
    )
    with torch.no_grad():
        curves.raw_sigma[0] = -1e4
    half = (1 + SMALLEST_SIGMA) / 2
    assert curves.widths() == pytest.approx(
        {
            "mean sigma of classification": half,
            "mean sigma of start": half,
            "mean sigma of end": half,
            "collapsed curves": 0.5,
        }
    )


def test_gradients_of_the_curves() -> None:
    curves = ClassSensitivity(2).double()
    u, labels = torch.tensor([-0.3, 0.1, 0.4], dtype=torch.float64), torch.tensor([[0], [1], [1]])

    def run(mu: torch.Tensor, raw_sigma: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(curves, {"mu": mu, "raw_sigma": raw_sigma}, (u, labels))

    assert torch.autograd.gradcheck(
        run, (curves.mu.detach().requires_grad_(), curves.raw_sigma.detach().requires_grad_())
    )


def test_combination() -> None:
    p, q = torch.tensor([[0.2, 0.4]], requires_grad=True), torch.tensor([[0.5, 0.1]], requires_grad=True)
    h = combine(p, q)
    assert h is not None
    torch.testing.assert_close(h.detach(), torch.tensor([[0.7, 0.5]]))
    h.sum().backward()
    assert p.grad is not None
    assert q.grad is None, "the instance level is taught by its own loss only"
    assert combine(p, None) is p
    assert combine(None, None) is None


H = torch.tensor([[[1.0, 2.0], [3.0, 2.0], [5.0, 0.5], [9.0, 9.0]]])  # one video, four points
POSITIVE = torch.tensor([[True, True, True, False]])
SEGMENT = torch.tensor([[0, 0, 1, 0]])


def test_paper_weights_are_h_on_positives_and_one_elsewhere() -> None:
    weights = loss_weights(H, POSITIVE, SEGMENT, segments=2, mode="paper")
    torch.testing.assert_close(weights, torch.tensor([[[1.0, 2.0], [3.0, 2.0], [5.0, 0.5], [1.0, 1.0]]]))


@pytest.mark.parametrize("mode", ["normalized", "quality"])
def test_normalized_weights_have_mean_one_over_each_segment(mode: str) -> None:
    h = H.clone().requires_grad_()
    weights = loss_weights(h, POSITIVE, SEGMENT, segments=2, mode=mode)  # type: ignore[arg-type]
    torch.testing.assert_close(weights.detach(), torch.tensor([[[0.5, 1.0], [1.5, 1.0], [1.0, 1.0], [1.0, 1.0]]]))
    assert weights.requires_grad == (mode == "normalized")


def test_quality_loss() -> None:
    sensitivity = torch.tensor([[[0.5, 0.5], [0.0, 1.0], [7.0, 7.0]]])
    quality = torch.tensor([[[1.0, 0.5], [0.0, 0.0], [0.0, 0.0]]])
    positive = torch.tensor([[True, True, False]])
    # classification: (0.25 + 0) / 2; localization: (0 + 1) / 2
    assert quality_loss(sensitivity, quality, positive, torch.tensor(2)).item() == pytest.approx(0.625)
    assert quality_loss(sensitivity, quality, positive & False, torch.tensor(1)).item() == 0


def test_gradients_of_the_combination_reach_the_class_level_only() -> None:
    p = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    q = torch.full_like(p, 0.3)
    assert torch.autograd.gradcheck(lambda x: combine(x, q), (p,))


@pytest.mark.parametrize("mode", ["paper", "normalized"])
def test_gradients_of_the_weights(mode: str) -> None:
    h = H.double().requires_grad_()
    run = lambda x: loss_weights(x, POSITIVE, SEGMENT, segments=2, mode=mode)  # type: ignore[arg-type]  # noqa: E731
    assert torch.autograd.gradcheck(run, (h,))
    run(h)[..., 0].sum().backward()
    assert h.grad is not None
    # The trap: the published weights can all be made smaller at once; normalised ones have a constant sum.
    expected = [[1.0, 1.0, 1.0, 0.0] if mode == "paper" else [0.0, 0.0, 0.0, 0.0]]
    torch.testing.assert_close(h.grad[..., 0], torch.tensor(expected, dtype=torch.float64))


def test_gradient_of_the_quality_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    sensitivity, quality = torch.rand(2, 2, 3, 2, dtype=torch.float64, generator=generator).unbind()
    positive = torch.tensor([[True, False, True], [False, True, False]])
    sensitivity.requires_grad_()
    quality.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: quality_loss(x, quality, positive, positive.sum()), (sensitivity,))
    quality_loss(sensitivity, quality, positive, positive.sum()).backward()
    assert quality.grad is None, "the targets are detached: the network is not taught to be as good as it is thought"


def test_as_released_sigma_itself_is_learned_and_cannot_vanish() -> None:
    curves = ClassSensitivity(2, as_released=True)
    torch.testing.assert_close(curves.sigma, torch.ones(2, 3))
    with torch.no_grad():
        curves.raw_sigma[0], curves.raw_sigma[1] = 0.4, -3.0
    assert curves.sigma[0, 0].item() == pytest.approx(0.4)
    assert curves.sigma[1, 0].item() == pytest.approx(SMALLEST_SIGMA)
