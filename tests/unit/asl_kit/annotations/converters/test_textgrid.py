import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.textgrid import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import AnnotationError, AslKitError

RAW = GOLDEN / "textgrid" / "raw"
SHORT = '"ooTextFile"\n"TextGrid"\n0\n9\n<exists>\n'


def run(tmp_path, text, *, tiers=()):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = ConversionReport("textgrid")
    annotations = convert([path], manifest=None, report=report, tiers=TierOptions.parse(tiers))
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def test_long_and_short_text_are_one_format(tmp_path):
    long = (RAW / "kitchen.TextGrid").read_text()
    short = "\n".join(line.rpartition(" = ")[2].replace("tiers? ", "") for line in long.split("\n") if "[" not in line)
    expected = run(tmp_path, long)[0].videos
    assert run(tmp_path, short.replace("intervals: size = ", ""))[0].videos == expected
    assert run(tmp_path, long.replace('"ooTextFile"', '"ooTextFile short"'))[0].videos == expected


def test_tiers_are_chosen(tmp_path):
    tiers = '2 "IntervalTier" "x" 0 9 1 1 2 "run" "IntervalTier" "y" 0 9 2 0 1 "walk" 2 3 ""'
    annotations, report = run(tmp_path, SHORT + tiers, tiers=["x=verb"])
    (item,) = annotations.videos["a"].segments
    assert (item.start, item.end, item.labels, item.attributes) == (1, 2, {"verb": "run"}, {"tier": "x"})
    assert [item.reason for item in report.items] == ["on 'y', not among the chosen tiers"]
    assert "1 intervals without a text are gaps between segments" in report.notes


FAULTS = {
    "another object": ('"ooTextFile"\n"Pitch"', "not a TextGrid as text: expected 'ooTextFile', 'TextGrid'"),
    "chronological": ('"Praat chronological TextGrid text file"\n0 9', "not a TextGrid as text"),
    "binary": (b"ooBinaryFile\x08TextGrid", "a binary file of Praat"),
    "cut off": (SHORT + '1 "IntervalTier" "x" 0 9 2 1 2 "run"', "time of .*tier 'x', interval 2: expected a number"),
    "no quotes": (SHORT + '1 "IntervalTier" "x" 0 9 1 1 2 run', "text of .*tier 'x', interval 1: expected a text"),
    "another tier": (SHORT + '1 "Matrix" "x" 0 9 0', "tier 'x': expected an IntervalTier or TextTier, found 'Matrix'"),
    "half a tier": (SHORT + "1.5", "number of tiers: expected a whole number, found 1.5"),
    "more than said": (SHORT + '0 "IntervalTier"', "expected the end of the file after the last tier"),
    "back": (SHORT + '1 "IntervalTier" "x" 0 9 1 2 1 "run"', "interval 1: video 'a': end: must be after the start"),
    "late": (SHORT + '1 "IntervalTier" "x" 0 9 1 2 10 "run"', r"end: must be within the video's duration \(9.0\)"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["kitchen.TextGrid", "garden.TextGrid"]))
def test_damaged_file_is_one_message(tmp_path, data, name):
    try:
        run(tmp_path, data.draw(damage((RAW / name).read_bytes())))
    except AslKitError:
        return
