"""Workbooks (.xlsx) that a program has written: the cells of their only sheet, as text.

The layout is Office Open XML (ECMA-376, part 1, 18.3): `xl/worksheets/sheet1.xml` has rows (`row`) of cells (`c`), with
their place (`r="B3"`), type (`t`) and value; texts may lie in `xl/sharedStrings.xml`. Formats of numbers are not read:
what Excel shows as a date or a clock time is a number of days. So this is for exports whose times are known to be
seconds, and not for tables that people fill in.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatchcase
from pathlib import Path

from asl_kit.annotations.archives import file_names, read_file
from asl_kit.annotations.tables import Table
from asl_kit.annotations.xml_files import parse_xml
from asl_kit.errors import AnnotationError

_SHEETS = "xl/worksheets/sheet*.xml"
_STRINGS = "xl/sharedStrings.xml"
_WHAT = "a workbook (.xlsx)"
_PLACE = re.compile("([A-Z]{1,3})[1-9][0-9]*")
_MAX_CELLS = 5_000_000


def read_workbook(path: Path) -> Table:
    """Return the cells of a workbook's only sheet, without blank rows; all rows are as long as the longest.

    Raises
    ------
    AnnotationError
        If it is no workbook, has several sheets, or no cells.
    """
    names = file_names(path, what=_WHAT)
    sheets = [name for name in names if fnmatchcase(name, _SHEETS)]
    if len(sheets) != 1:
        raise AnnotationError(f"{path}: expected a workbook with one sheet, found {len(sheets)}")
    texts = []
    if _STRINGS in names:
        root = parse_xml(read_file(path, _STRINGS, what=_WHAT), f"{path}: {_STRINGS}", tool="Excel")
        texts = [_text(item) for item in root.iterfind("{*}si")]
    where = f"{path}: {sheets[0]}"
    sheet = parse_xml(read_file(path, sheets[0], what=_WHAT), where, tool="Excel")
    rows: list[tuple[int, list[str]]] = []
    for number, row in enumerate(sheet.iterfind("{*}sheetData/{*}row"), start=1):
        cells: list[str] = []
        for cell in row.iterfind("{*}c"):
            place = _PLACE.fullmatch(cell.get("r", f"A{number}"))
            if place is None:
                raise AnnotationError(f"{where}: expected a cell's place such as B3, found {cell.get('r')!r:.40}")
            column = _column(place[1]) if "r" in cell.attrib else len(cells)
            if column < len(cells):
                raise AnnotationError(f"{where}: cell {cell.get('r')} is not in its order")
            cells += [""] * (column - len(cells))
            cells.append(_value(cell, texts, where))
        if any(cells):
            rows.append((number, cells))
    width = max((len(cells) for _, cells in rows), default=0)
    if not rows or width * len(rows) > _MAX_CELLS:
        raise AnnotationError(f"{path}: expected 1 to {_MAX_CELLS:,} cells, found {width * len(rows):,}")
    for _, cells in rows:
        cells += [""] * (width - len(cells))
    return Table("\t", rows[0][1], rows[1:], rows[0][0])


def _column(letters: str) -> int:
    """Return the number of a column, from 0.

    Examples
    --------
    >>> _column("A"), _column("Z"), _column("AA")
    (0, 25, 26)
    """
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _value(cell: ElementTree.Element, texts: list[str], where: str) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(_text(item) for item in cell.iterfind("{*}is"))
    value = (cell.findtext("{*}v") or "").strip()
    if cell.get("t") != "s":
        return value
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) < len(texts)):
        raise AnnotationError(f"{where}: expected one of {len(texts)} shared texts, found {value!r:.40}")
    return texts[int(value)]


def _text(item: ElementTree.Element) -> str:
    """Return a text: its own, or that of its parts with formats of their own."""
    parts = [*item.iterfind("{*}t"), *item.iterfind("{*}r/{*}t")]
    return "".join(part.text or "" for part in parts).strip()
