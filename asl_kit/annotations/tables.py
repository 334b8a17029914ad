"""Tables with a header line, as spreadsheets write them.

Cells are separated by commas, semicolons or tabs, whichever the first row contains most often, or by what Excel's line
``sep=;`` names. `asl_kit.annotations.table_text` describes the encodings; quotes are as in RFC 4180. Numbers may have a
decimal comma where commas do not separate cells, and times may be clock times.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from encodings.aliases import aliases
from pathlib import Path
from typing import Any, Final

from asl_kit.annotations.collector import number_from_text
from asl_kit.annotations.column_words import COLUMNS, TIMES, is_in_milliseconds
from asl_kit.annotations.table_text import read_table_text
from asl_kit.annotations.time_units import FRAMES_HINT, MILLISECONDS_HINT
from asl_kit.base.similar_names import close_matches
from asl_kit.errors import AnnotationError, UsageError

LABEL_OF = "label:"
"""Start of the names of columns with labels of one of several vocabularies."""
TIME_HINT = (
    "a time is seconds, 83.5, or a clock time, 1:23.5 or 01:02:03.5: minutes and seconds below 60, no frame numbers, "
    "no separator of thousands"
)
"""What to do about a cell that holds no time."""

_SEPARATORS = (",", ";", "\t")
_STATED_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[,;\t]*', re.IGNORECASE)
"""Excel's first line, which is not part of the table."""
_CLOCK = re.compile(r"(?:([0-9]+):)?([0-9]+):([0-9]{1,2}(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How to read a table whose columns or encoding are not known by themselves.

    Parameters
    ----------
    columns : mapping of str to str
        The header in the file, by the name of the column: ``{"label": "Verhalten"}``. It is used whatever other columns
        the file has. An empty header states that the file has no such column. Names are those of
        `asl_kit.annotations.column_words.COLUMNS`, and ``label:VOCABULARY``.
    encoding : str, optional
        A codec of Python, such as ``cp1252``. Default: UTF-8, or UTF-16 with a byte order mark.

    Raises
    ------
    UsageError
        If there is no such column or encoding, or a header is given for two columns.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None

    def __post_init__(self) -> None:
        given: dict[str, str] = {}
        for name, header in self.columns.items():
            if name not in COLUMNS and not (name.startswith(LABEL_OF) and name != LABEL_OF):
                close = close_matches(name, COLUMNS)
                meant = f"Did you mean {close[0]!r}? " if close else ""
                hint = f"{meant}The names are {', '.join(COLUMNS)} and {LABEL_OF}VOCABULARY."
                raise UsageError(f"columns: {name!r} (for {header!r}) is not the name of a column", hint=hint)
            if header and given.setdefault(header, name) != name:
                raise UsageError(f"columns: {header!r} is given for {given[header]!r} and for {name!r}")
        if self.encoding is not None:
            _check_encoding(self.encoding)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"columns": dict(self.columns), "encoding": self.encoding}


DEFAULT_TABLE: Final = TableOptions()


def _is_text_encoding(name: str) -> bool:
    try:
        "a".encode(name)
    except (LookupError, ValueError):  # ValueError: a NUL in the name, or a codec that refuses all text
        return False
    return True


def _check_encoding(encoding: str) -> None:
    if not _is_text_encoding(encoding):
        close = close_matches(encoding, sorted(filter(_is_text_encoding, {*aliases, *aliases.values()})))
        meant = f"Did you mean {close[0]!r}? " if close else ""
        hint = f"{meant}Western European Excel's is cp1252; docs.python.org, `codecs`, lists all."
        raise UsageError(f"encoding: there is no text encoding {encoding!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class Table:
    """A table without its blank lines; cells are text without surrounding spaces."""

    separator: str
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    """Line number and cells, one for each column."""
    line: int = 1
    """Line number of the header."""
    notes: list[str] = field(default_factory=list)
    """What was noticed when it was read."""

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


def read_rows(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), others: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """Read a published table, whose columns have exactly the names that its publisher gave them.

    Parameters
    ----------
    path : Path
        The file.
    required, optional : sequence of str
        Names of columns.
    others : bool
        Whether columns with other names are allowed; they are returned too.

    Returns
    -------
    list of (int, dict)
        The line number and the cells by column of every row.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If the file is empty, has other columns, or has rows of another length than the header.
    """
    known = (*required, *optional)
    table = read_cells(path, expected_columns(required, optional), None)
    missing = {name: () for name in required if name not in table.columns}
    errors = []
    for name in dict.fromkeys(table.columns):
        if table.columns.count(name) > 1:
            errors.append(f"column {name!r} appears twice")
        elif name not in known and not others:
            errors.append(unknown_column(name, known))
    check_columns(path, table, missing, errors, expected_columns(required, optional))
    check_rows(path, table)
    return [(line, dict(zip(table.columns, row, strict=True))) for line, row in table.rows]


def read_cells(path: Path, expected: str, options: TableOptions | None) -> Table:
    """Read a table without checking its columns or the length of its rows.

    `expected` describes its header; `options` is None where users cannot state any.
    """
    encoding = None if options is None else options.encoding
    text, notes = read_table_text(path, encoding, can_name_encoding=options is not None)
    first_line, _, rest = text.partition("\n")
    stated = _STATED_SEPARATOR.fullmatch(first_line.strip())
    if stated is not None:
        text = rest
    first = re.sub(r'"[^"\n]*"', "", next((line for line in text.split("\n") if line.strip()), ""))
    separator = stated[1] if stated is not None else max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    above = stated is not None
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num + above, cells))
    except csv.Error as error:
        raise AnnotationError(f"{path}:{reader.line_num + above}: not a CSV file: {error}") from error
    if not rows:
        raise AnnotationError(f"{path}: empty; expected a first line {expected}")
    return Table(separator, rows[0][1], rows[1:], rows[0][0], notes)


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
            if any(missing.values()):
                hint = f"{hint[:-1]}, or say which one is meant: --column {next(iter(missing))}=COLUMN."
        if len(table.columns) == 1:
            hint = "Separate the columns by commas, semicolons or tabs."
        elif any(map(is_in_milliseconds, table.columns)) and (missing.keys() & {*TIMES} or not missing):
            hint = MILLISECONDS_HINT
        elif "start" in missing and any("frame" in name.lower() for name in table.columns):
            hint = FRAMES_HINT
        raise AnnotationError(f"{path}:{table.line}: {'; '.join(errors)}; expected {expected}", hint=hint)


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
