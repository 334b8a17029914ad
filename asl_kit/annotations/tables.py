"""Tables with a header line, as spreadsheets write them.

Cells are separated by commas, semicolons or tabs, whichever the first row contains most often. The text is UTF-8, or
UTF-16 with a byte order mark (Excel's "Unicode Text"), with quotes as in RFC 4180. Numbers may have a decimal
comma where commas do not separate cells, and times may be clock times.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_kit.annotations.collector import number_from_text, read_text
from asl_kit.errors import AnnotationError

_SEPARATORS = (",", ";", "\t")
TIME_HINT = (
    "a time is seconds, 83.5, or a clock time, 1:23.5 or 01:02:03.5: minutes and seconds below 60, no frame numbers, "
    "no separator of thousands"
)
"""What to do about a cell that holds no time."""

_CLOCK = re.compile(r"(?:([0-9]+):)?([0-9]+):([0-9]{1,2}(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table without its blank lines; cells are text without surrounding spaces."""

    separator: str
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    """Line number and cells, one for each column."""

    def by_column(self) -> list[tuple[int, dict[str, str]]]:
        """Return the line number and the cells by column of every row."""
        return [(line, dict(zip(self.columns, row, strict=True))) for line, row in self.rows]

    def number(self, text: str) -> float | str:
        """Return the number that a cell holds, or the text itself if it holds none."""
        point = self.separator != "," and text.count(",") == 1 and "." not in text
        return number_from_text(text.replace(",", ".") if point else text)

    def seconds(self, text: str) -> float | str:
        """Return the seconds that a cell holds, as a number or a clock time, or the text itself if it holds neither."""
        match = _CLOCK.fullmatch(text.replace(",", ".") if self.separator != "," else text)
        if match is None:
            return self.number(text)
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        is_clock = seconds < 60 and (match[1] is None or minutes < 60)
        return hours * 3600 + minutes * 60 + seconds if is_clock else text


def read_table(path: Path, *, required: Sequence[str], optional: Sequence[str] = (), others: bool = False) -> Table:
    """Read a table with a header line.

    Parameters
    ----------
    path : Path
        The file.
    required, optional : sequence of str
        Names of columns.
    others : bool
        Whether columns with other names are allowed; they are returned too.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If the file is empty, has other columns, or has rows of another length than the header.
    """
    known = (*required, *optional)
    table = read_cells(path, expected_columns(required, optional))
    missing = {name: () for name in required if name not in table.columns}
    errors = []
    for name in dict.fromkeys(table.columns):
        if table.columns.count(name) > 1:
            errors.append(f"column {name!r} appears twice")
        elif name not in known and not others:
            errors.append(unknown_column(name, known))
    check_columns(path, table, missing, errors, expected_columns(required, optional))
    check_rows(path, table)
    return table


def read_rows(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), others: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """Read a table like `read_table`, and return the line number and the cells by column of every row."""
    return read_table(path, required=required, optional=optional, others=others).by_column()


def read_cells(path: Path, expected: str) -> Table:
    """Read a table without checking its columns or the length of its rows; `expected` describes its header."""
    text = read_text(path)
    first = re.sub(r'"[^"\n]*"', "", next((line for line in text.splitlines() if line.strip()), ""))
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row)))
    except csv.Error as error:
        raise AnnotationError(f"{path}:{reader.line_num}: not a CSV file: {error}") from error
    if not rows:
        raise AnnotationError(f"{path}: empty; expected a first line {expected}")
    return Table(separator, rows[0][1], rows[1:])


def check_columns(
    path: Path, table: Table, missing: Mapping[str, Sequence[str]], errors: Sequence[str], expected: str
) -> None:
    """Raise one AnnotationError for all errors of the header; without errors, return.

    `missing` holds the columns that are missing, and the other names that are accepted for each.
    """
    also = {name: f" (also accepted: {', '.join(others)})" if others else "" for name, others in missing.items()}
    errors = [*(f"column {name!r} is missing{text}" for name, text in also.items()), *errors]
    if errors:
        hint = "Rename the column, or remove it."
        if missing:
            hint = f"The columns of the file are {', '.join(map(repr, table.columns))}: rename one, or add a column."
        if len(table.columns) == 1:
            hint = "Separate the columns by commas, semicolons or tabs."
        elif "start" not in table.columns and any("frame" in name.lower() for name in table.columns):
            hint = "Times are in seconds: divide frame numbers by the frame rate."
        raise AnnotationError(f"{path}:1: {'; '.join(errors)}; expected {expected}", hint=hint)


def check_rows(path: Path, table: Table) -> None:
    """Raise an AnnotationError if there are no rows, or rows of another length than the header."""
    if not table.rows:
        raise AnnotationError(f"{path}: no rows below the first line", hint="Add one row for each segment.")
    uneven = [(line, len(row)) for line, row in table.rows if len(row) != len(table.columns)]
    if uneven:
        line, found = uneven[0]
        more = f" (and {len(uneven) - 1} more lines)" if len(uneven) > 1 else ""
        raise AnnotationError(
            f"{path}:{line}: {found} cells, expected {len(table.columns)} as in the first line{more}",
            hint='Put a value that contains the separator in quotes: "a, b".',
        )


def expected_columns(required: Sequence[str], optional: Sequence[str]) -> str:
    """Return the header that a message expects: ``video,start[,fps]``."""
    return ",".join(required) + (f"[,{','.join(optional)}]" if optional else "")


def unknown_column(name: str, known: Sequence[str]) -> str:
    """Return the error of a column with an unknown name, with the known name that is most like it."""
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"unknown column {name!r}" + (f" (did you mean {close[0]!r}?)" if close else "")
