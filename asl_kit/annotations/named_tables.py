"""Users' own tables: which column is which, by its own name, by a name that the user states, or by a common word.

The columns have the names of `asl_kit.annotations.column_words`. A column that the user states counts before all
others, and a column's own name before other words for it. What could mean two things is not decided here: the message
asks for ``--column``.
"""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from asl_kit.annotations.column_words import (
    TIMES,
    WORDS,
    fold_header,
    is_in_milliseconds,
    means,
    means_some_duration,
)
from asl_kit.annotations.tables import (
    LABEL_OF,
    Table,
    TableOptions,
    check_columns,
    check_rows,
    expected_columns,
    read_cells,
    unknown_column,
)
from asl_kit.base.similar_names import close_matches
from asl_kit.errors import AnnotationError, UsageError

_MISSPELT = 0.8
"""Similarity of two names from which one counts as a misspelling of the other: `lable`, `durration`, `ends`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one kind of table."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    others: bool = True
    """Whether columns with other names are allowed."""
    vocabularies: bool = False
    """Whether columns `label:VOCABULARY` may take the place of `label`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return (*self.required, *self.optional)

    @property
    def expected(self) -> str:
        """The header, for a message."""
        return expected_columns(self.required, self.optional)

    @property
    def has_segments(self) -> bool:
        """Whether a row is a segment, so that a duration may be that of the segment."""
        return "start" in self.names


_TOOLS: Final = {
    ".anvil": "anvil", ".boris": "boris", ".eaf": "elan", ".opf": "datavyu", ".srt": "subtitles",
    ".textgrid": "textgrid", ".vtt": "subtitles",
}  # fmt: skip
"""Converter by the suffix of an annotation tool's files."""


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table whose columns are known."""

    table: Table
    columns: Mapping[str, int]
    """The place of each column of the layout that the table has, by its name."""
    others: Mapping[str, int]
    """The place of each further column, by its header."""
    notes: list[str] = field(default_factory=list)
    """How the table was read, where that is not obvious; each starts with the name of the file."""

    def rows(self) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
        """Yield the line number, the cells by column, and the cells of further columns by header, of every row."""
        for line, row in self.table.rows:
            cells = {name: row[place] for name, place in self.columns.items()}
            yield line, cells, {header: row[place] for header, place in self.others.items()}


def read_named_table(path: Path, layout: Layout, options: TableOptions) -> NamedTable:
    """Read a table with a header line.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        The columns that it may have.
    options : TableOptions
        What the user states about it.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UsageError
        If the user states a column that such a table does not have, or the file is one of an annotation tool.
    AnnotationError
        If the file is no table, a column is missing or could mean two things, or a row is shorter or longer than the
        header.
    """
    _check_stated(layout, options)
    if (converter := _TOOLS.get(path.suffix.lower())) is not None:
        hint = f"Convert it first: asl-kit convert {converter} {shlex.quote(str(path))} -o annotations.json"
        raise UsageError(f"{path}: a file of an annotation tool, not a table", hint=hint)
    table = read_cells(path, layout.expected, options)
    header = _Header(path, table, layout, options)
    header.take_stated()
    header.take_own_names()
    header.take_other_words()
    header.check_others()
    missing = {
        name: () if name in options.columns else WORDS["English"].get(name, ())
        for name in layout.required
        if name not in header.columns and not (name == "label" and header.has_vocabularies)
    }
    check_columns(path, table, missing, header.errors, layout.expected)
    check_rows(path, table)
    _check_unnamed(path, table)
    notes = [*table.notes]
    if header.read_as:
        notes.append(f"{path.name}: column {', '.join(header.read_as)}")
    return NamedTable(table, header.columns, {name: place for place, name in header.others().items()}, notes)


def _check_stated(layout: Layout, options: TableOptions) -> None:
    for name in options.columns:
        if name not in layout.names and not (layout.vocabularies and name.startswith(LABEL_OF)):
            raise UsageError(f"columns: a table {layout.expected} has no column {name!r}")


def _check_unnamed(path: Path, table: Table) -> None:
    """Refuse values below no name; the empty columns that spreadsheets leave at the end are nothing."""
    unnamed = [place for place, header in enumerate(table.columns) if not header]
    for line, row in table.rows if unnamed else ():
        for place in unnamed:
            if row[place]:
                text = f"{path}:{line}: {row[place]!r} is in a column without a name"
                raise AnnotationError(text, hint="Name the column.")


class _Header:
    """The columns of a table while they are named."""

    def __init__(self, path: Path, table: Table, layout: Layout, options: TableOptions) -> None:
        self._where, self._headers, self._layout = f"{path}:{table.line}", table.columns, layout
        self._stated = options.columns
        self.columns: dict[str, int] = {}
        self.errors: list[str] = []
        self.read_as: list[str] = []

    @property
    def has_vocabularies(self) -> bool:
        """Whether there are columns with labels of several vocabularies."""
        return any(name.startswith(LABEL_OF) for name in self.columns)

    @property
    def missing(self) -> list[str]:
        """The columns that are still looked for."""
        found = {*self.columns, *self._stated, *(["label"] if self.has_vocabularies else [])}
        return [name for name in self._layout.names if name not in found]

    def others(self) -> dict[int, str]:
        """Return the headers of the columns that have no name of ours, by place."""
        taken = {*self.columns.values()}
        return {place: header for place, header in enumerate(self._headers) if header and place not in taken}

    def take_stated(self) -> None:
        """Name the columns that the user states."""
        for name, header in self._stated.items():
            if header:
                place = self._place_of(header, name)
                if name in TIMES and is_in_milliseconds(self._headers[place]):
                    self.errors.append(f"column {header!r}, stated for {name!r}, is in milliseconds by its name")
                self._take(name, place)

    def take_own_names(self) -> None:
        """Name the columns that have their own names."""
        for place, header in self.others().items():
            name = fold_header(header)
            if self._layout.vocabularies and name.startswith(LABEL_OF):
                name = LABEL_OF + header.partition(":")[2].strip()
                if name == LABEL_OF:
                    self.errors.append(f"column {header!r} names no vocabulary")
            elif name not in self._layout.names:
                continue
            if name not in self._stated:
                if name in self.columns:
                    self.errors.append(f"column {name!r} appears twice")
                self.columns[name] = place

    def take_other_words(self) -> None:
        """Name the columns with other words for those that are missing."""
        for name in self.missing:
            found = {place: header for place, header in self.others().items() if means(header, name)}
            if not found and name == "duration" and not self._layout.has_segments:
                found = {place: header for place, header in self.others().items() if means_some_duration(header)}
            if len(found) > 1:
                several, first = " and ".join(map(repr, found.values())), next(iter(found.values()))
                self.errors.append(f"columns {several} could each be {name!r}: state one, as in {_option(name, first)}")
            if found:
                self._take(name, next(iter(found)))

    def check_others(self) -> None:
        """Refuse columns that are unknown, misspelt, there twice, or of unclear meaning."""
        for header, count in Counter(self.others().values()).items():
            if self._layout.has_segments and "duration" in self.missing and means_some_duration(header):
                self.errors.append(
                    f"column {header!r} could be the duration of the video or of the segment: state"
                    f" {_option('duration', header)} for the video's, {_option('duration', '')} for the segment's"
                )
            elif not self._layout.others:
                self.errors.append(unknown_column(header, self._layout.names))
            elif difflib.get_close_matches(header.lower(), self.missing, n=1, cutoff=_MISSPELT):
                self.errors.append(unknown_column(header, self.missing))
            elif count > 1:
                self.errors.append(f"column {header!r} appears twice")

    def _take(self, name: str, place: int) -> None:
        self.columns[name] = place
        if fold_header(self._headers[place]) != name:
            self.read_as.append(f"{self._headers[place]!r} as {name!r}")

    def _place_of(self, header: str, name: str) -> int:
        """Return the place of the column that is stated, whose header may differ in case, accents and spaces."""
        same = [place for place, found in enumerate(self._headers) if found == header.strip()]
        like = [place for place, found in enumerate(self._headers) if fold_header(found) == fold_header(header)]
        places = same or like
        if len(places) == 1:
            return places[0]
        close = close_matches(header, self._headers)
        meant = f"Did you mean {close[0]!r}? " if close and not places else ""
        fault = "is there twice" if places else "is not in the file"
        raise AnnotationError(
            f"{self._where}: column {header!r}, stated for {name!r}, {fault}",
            hint=f"{meant}The columns of the file are {', '.join(map(repr, filter(None, self._headers)))}.",
        )


def _option(name: str, header: str) -> str:
    return f"--column {shlex.quote(f'{name}={header}')}"
