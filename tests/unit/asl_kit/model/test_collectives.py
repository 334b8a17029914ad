"""Alone, a process answers for itself; random numbers are the same in any number of processes."""

from __future__ import annotations

import pytest
import torch

from asl_kit.model import collectives
from asl_kit.model.collectives import addend, gather_rows, global_sum, random_rows


def test_alone_nothing_changes() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_rows(rows) is rows
    assert addend(rows) is rows
    assert torch.equal(global_sum(rows), rows.detach())
    assert not global_sum(rows).requires_grad


@pytest.mark.parametrize("size", [1, 2, 5, 6, 1000])
@pytest.mark.parametrize("processes", [2, 3])
def test_random_rows_are_dealt_out(size: int, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    torch.manual_seed(7)
    whole, after = random_rows(3, size, cpu), torch.rand(1)
    monkeypatch.setattr(collectives, "world_size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(collectives, "rank", lambda rank=rank: rank)
        torch.manual_seed(7)
        own = len(range(rank, size, processes))
        drawn = random_rows(3, max(own, 1), cpu)  # a process without a video runs an empty one
        assert torch.equal(drawn[:, :own], whole[:, rank::processes])
        assert torch.equal(torch.rand(1), after), "what is drawn next is the same too"


def test_an_addend_keeps_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectives, "world_size", lambda: 4)
    x = torch.tensor(3.0, requires_grad=True)
    share = addend(x * x)
    share.backward()
    assert share.item() == pytest.approx(9 / 4)
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(6)
