"""Small training runs for tests: their command lines, curves and weights."""

from __future__ import annotations

import json
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
