"""Small training runs for tests: their command lines, curves and weights."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import torch

SMALL = [
    "model.width=16",
    "model.attention_heads=2",
    "model.attention_window=5",
    "model.stem_blocks=1",
    "contrastive.enabled=true",
    "optimizer.batch_size=2",
    "optimizer.epochs=4",
    "optimizer.warmup_epochs=1",
    "optimizer.learning_rate=3e-3",
    "run.validate_every=2",
    "run.precision=float32",  # the same on every machine
]
BASELINE = ["sensitivity.class_level=false", "sensitivity.instance_level=false", "contrastive.enabled=false"]


def words(*settings: str) -> list[str]:
    """Return ``--set`` words for recipe settings."""
    return [word for setting in settings for word in ("--set", setting)]


def command(task: tuple[Path, Path], out: Path, *more: str) -> list[str]:
    """Return the arguments of a small training run on annotations and a store."""
    annotations, features = map(str, task)
    return ["train", "--annotations", annotations, "--features", features, "--out", str(out), *words(*SMALL), *more]


def curve(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's training curve."""
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint."""
    loaded: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["weights"]
    return loaded


def assert_same_run(one: Path, other: Path) -> None:
    """Assert that two runs have, bit for bit, the same curve and weights."""
    assert curve(one) == curve(other)
    expected = weights(other / "model.ckpt")
    for name, value in weights(one / "model.ckpt").items():
        assert torch.equal(value, expected[name]), name


def run_in_group(processes: int, folder: Path, arguments: list[str]) -> tuple[list[int | None], str, str]:
    """Run ``asl-kit`` in a group of processes, as torchrun does, but with PyTorch imported once for all of them.

    Returns
    -------
    codes : list of int
        Exit code of each process.
    stdout, stderr : str
        What they printed, one process after the other.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "asl_train.trainer"])
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    folder.mkdir()
    group = [
        context.Process(target=_join_group, args=(rank, processes, port, folder, arguments))
        for rank in range(processes)
    ]
    for process in group:
        process.start()
    for process in group:
        process.join(timeout=300)
        process.kill()
    texts = [
        "".join((folder / f"{rank}.{name}").read_text(encoding="utf-8") for rank in range(processes))
        for name in ("stdout", "stderr")
    ]
    return [process.exitcode for process in group], texts[0], texts[1]


def _join_group(rank: int, processes: int, port: int, folder: Path, arguments: list[str]) -> None:
    from asl_kit.cli import main

    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    torch.set_num_threads(1)
    for stream in (sys.stdout, sys.stderr):
        name = "stdout" if stream is sys.stdout else "stderr"
        os.dup2(os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT), stream.fileno())
    main(arguments)
