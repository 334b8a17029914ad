"""Layers: forms of a convolution that are faster than torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from asl_kit.model.layers import convolve, product, winograd


@pytest.mark.parametrize("videos", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 7, 96])
@pytest.mark.parametrize(("channels", "outputs", "with_bias"), [(5, 3, True), (64, 64, False), (512, 20, True)])
def test_winograd_is_the_convolution(videos: int, steps: int, channels: int, outputs: int, with_bias: bool) -> None:
    """Checked against torch in float64, whose outputs are about 1."""
    torch.manual_seed(0)
    x, weight = torch.randn(videos, steps, channels), torch.randn(outputs, channels, 3) / (3 * channels) ** 0.5
    bias = torch.randn(outputs) if with_bias else None
    before = x.clone(), weight.clone()
    with torch.inference_mode():
        found = winograd(x, weight, bias)
    wide = None if bias is None else bias.double()
    expected = F.conv1d(x.double().mT, weight.double(), wide, padding=1).mT
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=5e-6)
    assert torch.equal(x, before[0])
    assert torch.equal(weight, before[1])


@pytest.mark.parametrize("steps", [1, 7, 32])
def test_product_is_the_convolution(steps: int) -> None:
    torch.manual_seed(0)
    x, conv = torch.randn(3, steps, 5, requires_grad=True), nn.Conv1d(5, 4, 1)
    found, expected = product(x, conv.weight, conv.bias), conv(x.mT).mT
    torch.testing.assert_close(found, expected)
    gradients, expected_gradients = (
        torch.autograd.grad(y.square().sum(), (x, *conv.parameters())) for y in (found, expected)
    )
    torch.testing.assert_close(gradients, expected_gradients)


def test_gradients_are_those_of_the_convolution() -> None:
    """Where a gradient is wanted, another form is used."""
    conv = nn.Conv1d(4, 6, 3, padding=1)
    x = torch.randn(2, 9, 4, requires_grad=True)
    found = convolve(x, conv)
    torch.testing.assert_close(found, conv(x.mT).mT)
    (gradient,) = torch.autograd.grad(found.square().sum(), x)
    (expected,) = torch.autograd.grad(conv(x.mT).square().sum(), x)
    torch.testing.assert_close(gradient, expected)
