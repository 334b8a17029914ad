"""What networks compute and learn from a batch is what they did with one operation for each small thing.

The references are made by scripts/make_training_step.py.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent
CASES = ("default", "off", "as published", "levels")


@pytest.mark.parametrize("case", CASES)
def test_outputs_losses_and_gradients(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER / "scripts"))
    script = importlib.import_module("make_training_step")
    with np.load(FOLDER / "training_step.npz") as file:
        expected = {name: file[name] for name in file.files if name.startswith(f"{case}: ")}
    found = {f"{case}: {name}": value.detach() for name, value in script.compute(script.CASES[case]).items()}
    assert found.keys() == expected.keys()
    for name, value in found.items():
        wanted = torch.from_numpy(expected[name])
        limit = 1e-6 * max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(value, wanted, rtol=1e-6, atol=limit, msg=lambda text, name=name: f"{name}: {text}")
