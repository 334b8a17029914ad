"""A run that began on the CPU goes on on the GPU, in another precision, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import command, curve, words

import asl_train.trainer
from asl_train.trainable_model import TrainableModel

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_another_device(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `auto` chooses depends on the device; here, the test chooses."""
    task, out = make_task(tmp_path), tmp_path / "run"
    settings = words("run.precision=auto", "run.checkpoint_minutes=1e-9")
    train_step = TrainableModel.train_step
    for device, now, last in (("cpu", "float32", 3), ("cuda", precision, 6), ("cpu", "float32", None)):
        with monkeypatch.context() as patch:
            patch.setattr(asl_train.trainer, "choose_precision", lambda *_, now=now: getattr(torch, now))

            def step(self: TrainableModel, batch: Any, number: int, rate: float, *, last: int | None = last) -> Any:
                if number == last:
                    raise KeyboardInterrupt
                return train_step(self, batch, number, rate)

            patch.setattr(TrainableModel, "train_step", step)
            result = run(*command(task, out, "--device", device, "--resume", *settings))
        assert result.exit_code == (0 if last is None else 130), result.output
    lines = [line for line in curve(out) if line["group"] == "train"]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert all(np.isfinite(line["total"]) for line in lines)
