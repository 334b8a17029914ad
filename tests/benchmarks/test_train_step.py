"""A training step dispatches no more operations than it did."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

# Each costs a GPU's host, or a CPU with small batches, some microseconds, whatever it computes. Raise a number only for
# operations that are worth it.
MOST = 1061


def test_operations_of_the_default_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    benchmark = importlib.import_module("train_step")
    step = benchmark.our_step([benchmark.make_sequences([60, 40])], torch.device("cpu"), "float32", [])
    assert benchmark.count_operations(step) <= MOST
