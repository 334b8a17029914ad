import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.anvil import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import AnnotationError, AslKitError

RAW = GOLDEN / "anvil" / "raw"


def element(index, times, **values):
    inside = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in values.items())
    return f'<el index="{index}" {times}>{inside}</el>'


def track(*elements, name="x", kind="primary", ref=""):
    return f'<track name="{name}" type="{kind}" ref="{ref}">{"".join(elements)}</track>'


def document(*tracks):
    return f'<annotation><head><video src="a.mov"/></head><body>{"".join(tracks)}</body></annotation>'


RUN = track(element(0, 'start="1" end="2.5"', type="run"))


def run(tmp_path, content, *, tiers=()):
    path = tmp_path / "b.anvil"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = ConversionReport("anvil")
    annotations = convert([path], manifest=None, report=report, tiers=TierOptions.parse(tiers))
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def test_utf16_reads_the_same(tmp_path):
    text = (RAW / "kitchen.anvil").read_text()
    utf16 = text.replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")
    assert run(tmp_path, utf16)[0].videos == run(tmp_path, text)[0].videos


def test_attributes_are_chosen(tmp_path):
    text = document(track(element(0, 'start="1" end="2"', verb="cut", noun="bread")), RUN.replace('"x"', '"y"'))
    annotations, report = run(tmp_path, text, tiers=["x.verb=verb", "x.noun=noun"])
    assert [item.labels for item in annotations.videos["a"].segments] == [{"verb": "cut", "noun": "bread"}]
    assert [item.reason for item in report.items] == ["on 'y', not among the chosen tiers"]
    with pytest.raises(
        AnnotationError, match=r"'x' has several fields \(verb, noun\): choose, for example --tier x.verb"
    ):
        run(tmp_path, text)


FAULTS = {
    "no times": (document(track(element(0, ""))), "element '0': video 'a': start and end: must be seconds, found"),
    "a circle": (
        document(track(element(0, 'ref="0"'), kind="singleton", ref="x")),
        "refers to elements of 'x' that are not there or have no time",
    ),
    "another type": (document(track(kind="subdivision")), "type: expected one of primary, span, .*found 'subdivision'"),
    "a name twice": (document(RUN, RUN), "expected a name, and each name once"),
    "elsewhere": (document(f"<group>{RUN}</group>"), "1 elements <el> in the file, but not all directly in a track"),
    "back": (document(track(element(0, 'start="2" end="1"'))), "end: must be after the start"),
    "other XML": ("<html/>", "not a file of ANVIL: expected <annotation>, found <html>"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_file_is_one_message(tmp_path, data):
    try:
        run(tmp_path, data.draw(damage((RAW / "kitchen.anvil").read_bytes())))
    except AslKitError:
        return
