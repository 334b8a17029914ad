"""The benchmark of killed extractions kills, completes, compares, and says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("extract_kills.py")


@pytest.mark.slow
def test_kills_of_runs_and_of_decoders_are_survived() -> None:
    command = [sys.executable, SCRIPT, "--modes", "workers", "--kills", "2", "--videos", "6", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 kills survived" in done.stdout
