"""Damaged sources are refused in one message, or converted with every item accounted for."""

import pytest
from tools.fuzz_sources import SAMPLES
from tools.fuzzing import run_case

CASES = 40
"""Of each sample; `python tests/tools/fuzzing.py --minutes 10` runs as many as it can."""


@pytest.mark.parametrize("sample", SAMPLES)
def test_damaged_sample(sample):
    outcomes = [run_case(sample, case) for case in range(CASES)]
    assert [f"case {case}: {outcome}" for case, outcome in enumerate(outcomes) if outcome.is_fault] == []
    assert {outcome.kind for outcome in outcomes} == {"refused", "accepted"}
