"""A task and a training run that several files of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import command


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the annotations and the store of an easy task."""
    return make_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="session")
def trained(task: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on that task."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    result = run(*command(task, out))
    assert result.exit_code == 0, result.output
    return out
