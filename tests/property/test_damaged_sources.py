"""Sources are converted with every item accounted for; damaged ones too, or they are refused in one message."""

import pytest
from golden.regenerate import OPTIONS
from tools.fuzz_sources import GOLDEN, SAMPLES
from tools.fuzzing import run_case
from tools.source_counts import COUNTERS, items_read

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import convert, converter_names

CASES = 40
"""Of each sample; `python tests/tools/fuzzing.py --minutes 10` runs as many as it can."""


def test_every_converter_has_a_function_that_counts_its_items():
    assert COUNTERS.keys() == {*converter_names()}


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_item_of_a_source_is_in_the_result_or_in_the_report(tmp_path, sample):
    converter, raw, output = sample.partition("--")[0], GOLDEN / sample / "raw", tmp_path / "annotations.json"
    report = convert(converter, sorted(raw.iterdir()), output, **OPTIONS.get(converter, {}))
    annotations = read_annotations(output)
    left_out = [item for item in report.items if item.outcome in ("dropped", "excluded") and item.kind != "video"]
    kept = [item for video in annotations.videos.values() for item in (*(video.segments or ()), *video.ignored)]
    assert len(kept) + len(left_out) == report.segments_read
    counted = COUNTERS[converter](raw)
    is_other_layout = counted is None and "--" in sample
    assert is_other_layout or counted == items_read(converter, report, annotations)


@pytest.mark.parametrize("sample", SAMPLES)
def test_damaged_sample(sample):
    outcomes = [run_case(sample, case) for case in range(CASES)]
    assert [f"case {case}: {outcome}" for case, outcome in enumerate(outcomes) if outcome.is_fault] == []
    assert {outcome.kind for outcome in outcomes} == {"refused", "accepted"}
