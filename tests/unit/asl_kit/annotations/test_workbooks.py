"""Workbooks: the cells of their sheet as text, or one message."""

import doctest

import pytest
from helpers.support import damage
from helpers.workbooks import NAMESPACE, archive, workbook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations import workbooks
from asl_kit.annotations.workbooks import read_workbook
from asl_kit.errors import AnnotationError

ROWS = [["Observation id", "", "Behavior"], ["", "", ""], ["a & b", "25", "<run>"], ["", "7"]]


def read(tmp_path, data):
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    return read_workbook(path)


def sheet(cells, **files):
    content = f"<worksheet {NAMESPACE}><sheetData><row>{cells}</row></sheetData></worksheet>"
    return archive({"xl/worksheets/sheet1.xml": content} | files)


def test_examples():
    assert doctest.testmod(workbooks).failed == 0


@pytest.mark.parametrize("shared", [False, True], ids=["texts in the cells", "shared texts"])
def test_cells_are_text(tmp_path, shared):
    table = read(tmp_path, workbook(ROWS, shared=shared))
    assert (table.line, table.columns) == (1, ["Observation id", "", "Behavior"])
    assert table.rows == [(3, ["a & b", "25", "<run>"]), (4, ["", "7", ""])]


CELLS = {
    "without a place": ("<c><v>1</v></c><c><v>2</v></c>", ["1", "2"]),
    "far to the right": ('<c r="AB1"><v>1</v></c>', [""] * 27 + ["1"]),
    "text of a formula": ('<c r="A1" t="str"><f>B1</f><v>run</v></c>', ["run"]),
    "parts with formats": ('<c r="A1" t="inlineStr"><is><r><t>ru</t></r><r><t>n</t></r></is></c>', ["run"]),
    "a number in scientific notation": ('<c r="A1"><v>1.5E-2</v></c>', ["1.5E-2"]),
}


@pytest.mark.parametrize(("cells", "expected"), CELLS.values(), ids=CELLS)
def test_cell(tmp_path, cells, expected):
    assert read(tmp_path, sheet(cells)).columns == expected


FAULTS = {
    "no archive": (b"a,b\n", "not a workbook"),
    "another archive": (archive({"db": b""}), "expected a workbook with one sheet, found 0"),
    "two sheets": (workbook(ROWS, sheets=2), "expected a workbook with one sheet, found 2"),
    "no cells": (workbook([]), "expected 1 to 5,000,000 cells, found 0"),
    "no XML": (archive({"xl/worksheets/sheet1.xml": "x"}), r"sheet1\.xml: not an XML file"),
    "a document type": (
        archive({"xl/worksheets/sheet1.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}),
        "has a document type declaration",
    ),
    "no shared text": (sheet('<c r="A1" t="s"><v>0</v></c>'), "expected one of 0 shared texts, found '0'"),
    "a wrong place": (sheet('<c r="1A"><v>0</v></c>'), "expected a cell's place such as B3, found '1A'"),
    "order": (sheet('<c r="B1"><v>0</v></c><c r="A1"><v>0</v></c>'), "cell A1 is not in its order"),
}


@pytest.mark.parametrize(("data", "message"), FAULTS.values(), ids=FAULTS)
def test_fault(tmp_path, data, message):
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path, data)


CELL = '<c r="A1"><v>1</v></c><c r="C1" t="s"><v>0</v></c>'
CONTENT = f"<worksheet {NAMESPACE}><sheetData><row>{CELL}</row></sheetData></worksheet>"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_sheet_is_one_message(tmp_path, data):
    content = data.draw(damage(CONTENT.encode()))
    try:
        read(tmp_path, archive({"xl/worksheets/sheet1.xml": content}))
    except AnnotationError:
        return
