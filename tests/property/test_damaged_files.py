"""Damaged files of every format are refused in one message, or read as they stand."""

import contextlib
import random
import shutil

import pytest
from tools.fuzz_formats import FORMATS, run_command, sound_files
from tools.fuzzing import run_case


@pytest.mark.parametrize("name", FORMATS)
def test_sound_files(name, tmp_path):
    """What is damaged is accepted before."""
    shutil.copytree(sound_files(name), tmp_path / "case")
    with contextlib.chdir(tmp_path / "case"):
        code, output = run_command(FORMATS[name].command(random.Random(0)), apart=False)
        assert code == 0, output
        assert FORMATS[name].check(tmp_path / "case", "store verify") is None


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(name):
    """`python tests/tools/fuzzing.py --format NAME --minutes 10` runs as many cases as it can."""
    outcomes = [run_case(name, case) for case in range(FORMATS[name].tested_cases)]
    assert [f"case {case}: {outcome}" for case, outcome in enumerate(outcomes) if outcome.is_fault] == []
