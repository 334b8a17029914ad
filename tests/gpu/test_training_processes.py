"""Processes with a GPU each, or one process in an nccl group of its own, train as one process without a group."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from helpers.support import make_task
from helpers.training_runs import command, curve, words

from asl_kit.model.collectives import gather_rows, global_sum
from asl_kit.torch_utils.device import use_device
from asl_train.distributed import broadcast_parameters, gather_objects
from asl_train.trainable_model import StepValues

pytestmark = pytest.mark.gpu


TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=TWO_GPUS)])
def test_a_group_trains_as_one_process(processes: int, tmp_path: Path) -> None:
    task = make_task(tmp_path)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    curves = []
    for name, launcher in (("alone", []), ("group", torchrun)):
        arguments = command(task, tmp_path / name, "--device", "cuda", *words("optimizer.batch_size=3"))
        subprocess.run([sys.executable, *launcher, "-m", "asl_kit", *arguments], check=True)
        curves.append([line for line in curve(tmp_path / name) if line.pop("group") == "train"])
    for line, expected in zip(*reversed(curves), strict=True):
        assert line == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_collectives_in_an_nccl_group_of_one() -> None:
    device = use_device("cuda:0")
    dist.init_process_group("cpu:gloo,cuda:nccl", store=dist.HashStore(), rank=0, world_size=1)
    try:
        for rows in (torch.randn(3, 2, device=device), torch.tensor([True, False], device=device)):
            assert torch.equal(gather_rows(rows), rows)
        assert torch.equal(global_sum(torch.ones(2, device=device)), torch.ones(2, device=device))
        assert gather_objects("a") == ["a"]
        layer = torch.nn.Linear(2, 3, device=device)
        before = layer.weight.clone()
        broadcast_parameters(layer)
        assert torch.equal(layer.weight, before)
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("index", [0, pytest.param(1, marks=TWO_GPUS)])
def test_losses_are_read_after_they_have_been_computed(index: int) -> None:
    device = use_device(f"cuda:{index}")
    for _ in range(20):
        total = torch.zeros(1, device=device)
        torch.cuda._sleep(10**8)  # the GPU is busy for a while
        assert StepValues(["total"], total + 1).read() == {"total": 1.0}
