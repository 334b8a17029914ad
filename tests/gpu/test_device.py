"""A process that takes a GPU computes float32 in full, and survives memory that cannot be pinned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asl_kit.torch_utils.device import pin_memory, use_device

pytestmark = pytest.mark.gpu


def test_float32_is_not_tf32() -> None:
    device = use_device("cuda:0")
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(shape, generator=generator) for shape in ((1, 256, 64), (256, 256, 3)))
    exact = torch.nn.functional.conv1d(x.double(), weight.double())
    for found in (
        torch.nn.functional.conv1d(x.to(device), weight.to(device)).cpu(),
        (weight.flatten(1).to(device) @ x[0].unfold(1, 3, 1).permute(0, 2, 1).flatten(0, 1).to(device)).cpu()[None],
    ):
        # TF32 would be wrong by about 3e-4 of the largest value.
        assert (found - exact).abs().max() < 2e-5 * exact.abs().max()


def test_a_failure_to_pin_does_not_fail_the_next_kernel() -> None:
    device = use_device("cuda:0")
    pin = pin_memory(device)
    assert pin is not None
    memory = np.zeros(2**20, np.uint8)
    unpin = pin(memory)
    unpin_again = pin(memory)  # fails: it is pinned already
    total = torch.ones(8, device=device).sum()
    torch.cuda.synchronize(device)
    assert float(total) == 8
    unpin_again()
    unpin()
