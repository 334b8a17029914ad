"""A group of one process communicates as any other, which also tests nccl where there is one GPU (tests/gpu)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist

from asl_kit.model.collectives import addend, gather_rows, global_sum, is_in_group, random_rows, rank, world_size
from asl_train.distributed import broadcast_parameters, gather_objects, sum_gradients, training_processes


@pytest.fixture
def group_of_one(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Join a gloo group of one; return the names of the operations that communicate."""
    calls: list[str] = []
    for name in ("all_reduce", "all_gather", "all_gather_object", "broadcast"):
        operation = getattr(dist, name)

        def counted(*arguments: object, name: str = name, operation: object = operation, **named: object) -> object:
            calls.append(name)
            return operation(*arguments, **named)  # type: ignore[operator]

        monkeypatch.setattr(dist, name, counted)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield calls
    dist.destroy_process_group()


def test_a_group_of_one(group_of_one: list[str]) -> None:
    assert is_in_group()
    assert (rank(), world_size()) == (0, 1)
    rows = torch.randn(3, 2, requires_grad=True)
    gathered = gather_rows(rows)
    assert torch.equal(gathered, rows)
    gathered.sum().backward()
    assert torch.equal(rows.grad, torch.ones(3, 2))  # type: ignore[arg-type]
    assert torch.equal(gather_rows(torch.tensor([True, False])), torch.tensor([True, False]))
    assert torch.equal(global_sum(rows), rows.detach())
    assert addend(rows) is rows
    assert gather_objects({"a": 1}) == [{"a": 1}]
    assert random_rows(2, 5, torch.device("cpu")).shape == (2, 5)
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([1.0, 2.0])
    sum_gradients([parameter])
    assert torch.equal(parameter.grad, torch.tensor([1.0, 2.0]))
    layer = torch.nn.Linear(2, 3)
    before = layer.weight.clone()
    broadcast_parameters(layer)
    assert torch.equal(layer.weight, before)
    assert set(group_of_one) == {"all_reduce", "all_gather", "all_gather_object", "broadcast"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WORLD_SIZE": "1", "LOCAL_RANK": "0"},  # without an address to meet at
        {"WORLD_SIZE": "4"},
    ],
    ids=["none", "another launcher", "no local rank"],
)
def test_who_joins_no_group(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with training_processes("cpu") as device:
        assert device == torch.device("cpu")
        assert not is_in_group()
