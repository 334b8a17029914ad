import zipfile

import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.datavyu import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import AnnotationError, AslKitError, UsageError

RAW = GOLDEN / "datavyu" / "raw"
TRIALS = (
    "#4\ntrial (MATRIX,true,)-hand|NOMINAL,object|NOMINAL,n|NOMINAL\n"
    "00:00:01:000,00:00:02:000,(left,cup,1)\n00:00:03:000,00:00:04:000,(,,2)\n"
)


def run(tmp_path, content, *, name="a.csv", tiers=()):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = ConversionReport("datavyu")
    annotations = convert([path], manifest=None, report=report, tiers=TierOptions.parse(tiers))
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


LABELS = {
    "a vocabulary each": (["trial.hand=hand", "trial.object=object"], [{"hand": "left", "object": "cup"}]),
    "one vocabulary": (["trial.hand", "trial.object"], [{"action": "cup"}, {"action": "left"}]),
    "one code": (["trial.n=n"], [{"n": "1"}, {"n": "2"}]),
}


@pytest.mark.parametrize(("tiers", "expected"), LABELS.values(), ids=LABELS)
def test_codes_are_chosen(tmp_path, tiers, expected):
    annotations, report = run(tmp_path, TRIALS, tiers=tiers)
    assert [item.labels for item in annotations.videos["a"].segments] == expected
    left_out = [] if tiers == ["trial.n=n"] else ["on 'trial', without a value of the chosen fields"]
    assert [item.reason for item in report.items] == left_out


def test_several_codes_must_be_chosen(tmp_path):
    message = (
        r"a.csv:3: video 'a': 'trial' has several fields \(hand, object, n\): choose, for example --tier trial.hand"
    )
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, TRIALS)
    with pytest.raises(UsageError, match=r"--tier trial: no such tier in the sources; there are: 'trial.hand', 'trial"):
        run(tmp_path, TRIALS, tiers=["trial"])


VALUES = {  # as ExportDatabaseFileController.java of Datavyu writes, and OpenDataStoreFileController.java reads them
    "a line feed in a text": (
        "#4\nx (TEXT,true,)\n00:00:01:000,00:00:02:000,cut\\\nbread\\, no\\\\\n",
        ["cut bread, no\\"],
    ),
    "a line feed in a code": (
        "#4\nx (MATRIX,true,)-c|NOMINAL\n00:00:01:000,00:00:02:000,(cut\\\nbread)\n00:00:02:000,00:00:03:000,(a)\n",
        ["cut bread", "a"],
    ),
    "a code that is not set": ("#4\nx (MATRIX,true,)-c|NOMINAL\n00:00:01:000,00:00:02:000,(<c>)\n", ["x"]),
}


@pytest.mark.parametrize(("text", "labels"), VALUES.values(), ids=VALUES)
def test_values_are_read_as_datavyu_reads_them(tmp_path, text, labels):
    annotations, _ = run(tmp_path, text)
    assert [item.labels["action"] for item in annotations.videos["a"].segments] == labels


COLUMN = "#4\nx (MATRIX,true,)-c|NOMINAL\n"
FAULTS = {
    "another version": ("#3\n", "a.csv:1: expected #4, the version of Datavyu's format, found '#3'"),
    "a table alone": ("video,duration\na,1\n", "a.csv: not a file of Datavyu: expected a first line #4"),
    "a cell without a column": ("#4\n00:00:01:000,00:00:02:000,(x)\n", "a.csv:2: expected a column, found"),
    "no cell": (COLUMN + "00:00:01,00:00:02,(x)\n", "a.csv:3: expected a column or a cell, found"),
    "too many values": (COLUMN + "00:00:01:000,00:00:02:000,(x,y)\n", "a.csv:3: 2 values, expected 1: c"),
    "two codes of a name": ("#4\nx (MATRIX,true,)-c|NOMINAL,c|NOMINAL\n", "two codes have the same name"),
    "back": (COLUMN + "00:00:02:000,00:00:01:000,(x)\n", "a.csv:3: video 'a': end: must be after the start"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text)


def test_an_archive_without_a_database_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("project", b"")
    for content in (b"x", (tmp_path / "b.zip").read_bytes()):
        with pytest.raises(AnnotationError, match=r"a.opf: not a spreadsheet of Datavyu, an archive with a file db"):
            run(tmp_path, content, name="a.opf")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["kitchen.opf", "garden.csv"]))
def test_damaged_file_is_one_message(tmp_path, data, name):
    try:
        run(tmp_path, data.draw(damage((RAW / name).read_bytes())), name=name)
    except AslKitError:
        return
