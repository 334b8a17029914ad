"""Two processes on two GPUs train as one does on one GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.support import make_task
from helpers.training_runs import command, curve, words

pytestmark = pytest.mark.gpu


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train_as_one(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    curves = []
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "asl_kit"]
        settings = words("run.precision=float32", "optimizer.batch_size=3")
        arguments = command(task, tmp_path / str(processes), "--device", "cuda", *settings)
        subprocess.run([sys.executable, *launcher, *arguments], check=True)
        curves.append([line for line in curve(tmp_path / str(processes)) if line.pop("group") == "train"])
    for line, expected in zip(*curves, strict=True):
        assert line == pytest.approx(expected, rel=1e-3, abs=1e-4)
