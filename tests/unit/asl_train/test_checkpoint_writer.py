"""Checkpoints are written while training goes on: as they were, one after the other, and no failure is lost."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.faults import full_disk
from helpers.support import make_spec, write_model

from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.errors import OutputError
from asl_train import checkpoint_writer
from asl_train.checkpoint_writer import CheckpointWriter


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Return a checkpoint with a training state that holds the weights too."""
    read = load_checkpoint(write_model(tmp_path / "first.ckpt", make_spec()))
    return replace(read, training={"network": read.weights, "step": 3, "groups": [{"betas": (0.9, 0.999)}]})


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return the event that every write waits for."""
    event, save = threading.Event(), checkpoint_writer.save_checkpoint

    def wait_and_save(*arguments: Any) -> None:
        assert event.wait(60)
        save(*arguments)

    monkeypatch.setattr(checkpoint_writer, "save_checkpoint", wait_and_save)
    return event


def test_a_checkpoint_is_written_as_it_was(checkpoint: Checkpoint, gate: threading.Event, tmp_path: Path) -> None:
    name, path = "offset_scale", tmp_path / "last.ckpt"
    before = checkpoint.weights[name].clone()
    with CheckpointWriter() as writer:
        writer.save(checkpoint, path)
        checkpoint.weights[name].add_(1)  # the next step, which nothing has kept waiting
        assert checkpoint.training is not None
        checkpoint.training["step"] = 4
        writer.check()
        assert not path.exists()
        gate.set()
    found = load_checkpoint(path)
    assert torch.equal(found.weights[name], before)
    assert found.training is not None
    assert torch.equal(found.training["network"][name], before)
    assert (found.training["step"], found.training["groups"]) == (3, [{"betas": (0.9, 0.999)}])
    assert path.stat().st_size < 1.5 * (tmp_path / "first.ckpt").stat().st_size, "the weights are in it once"


def test_writes_of_one_file_follow_each_other(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    with CheckpointWriter() as writer:
        for step in range(3):
            writer.save(replace(checkpoint, training={"step": step}), path)
    assert load_checkpoint(path).training == {"step": 2}


@pytest.mark.parametrize("when", ["check", "save", "close"])
def test_a_write_that_fails_is_reported(when: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"

    def write() -> None:
        with CheckpointWriter() as writer:
            with full_disk(1000):
                writer.save(checkpoint, path)
                writer._thread.submit(int).result()  # the write has ended, whether reported or not
            if when == "check":
                writer.check()
            elif when == "save":
                writer.save(checkpoint, path)
            if when != "close":
                pytest.fail("it was not reported")

    with pytest.raises(OutputError, match=r"last\.ckpt: cannot be written: File too large"):
        write()
    assert [file.name for file in tmp_path.iterdir()] == ["first.ckpt"]


def test_a_fault_of_training_is_not_replaced(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """What has been started is still written."""

    def train() -> None:
        with CheckpointWriter() as writer:
            writer.save(checkpoint, tmp_path / "last.ckpt")
            writer.save(checkpoint, tmp_path / "first.ckpt" / "no folder")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert load_checkpoint(tmp_path / "last.ckpt").training is not None
