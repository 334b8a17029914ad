"""Users' own annotations, as a table: `video,start,end,label[,split,duration,fps,path]`.

One row a segment; the first row names the columns, in any order. A row with `start`, `end` and label
empty states that the video was annotated and has no action. `split`, `duration`, `fps` and `path` are
facts of the video: give them in one of its rows or in all of them. Without a split a video is in
`train`; without a duration it ends with its last segment; the report says so. Rows that contradict
themselves or each other are refused, all in one message.

What spreadsheets write is read by these rules:

- Cells are separated by commas, semicolons or tabs, whichever the first row has most of. The text is UTF-8,
  or UTF-16 with a byte order mark (Excel's "Unicode Text").
- Capitals do not count in the columns' names, nor do spaces and hyphens for underscores; `SYNONYMS` lists the
  other names that are understood. The report says which were used.
- `start`, `end` and `duration` are seconds (`75.5`) or a clock time (`1:15.5`, `0:01:15.5`). A decimal comma
  is read where commas do not separate cells.
- A video named by its file, `kitchen/a.mp4`, has the id `a` and this path; ids without the suffix of a
  video file are left as they are.
- Columns `label:verb`, `label:noun` give a segment a class in each of several vocabularies; some may be empty.
- Any other column is kept as an attribute of the segment, as text, where it is not empty. But a name that is
  nearly that of a column which is missing (`lable`) is a misspelling, and refused.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import (
    ACTION,
    Collector,
    as_number,
    describe_source,
    number_from_text,
    read_text,
)
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.video_names import split_name
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

REQUIRED = ("video", "start", "end", "label")
OPTIONAL = ("split", "duration", "fps", "path")
SYNONYMS = {
    "video": ("video_id", "video_name", "filename", "file_name", "file"),
    "start": ("start_time", "start_s", "t_start", "begin"),
    "end": ("end_time", "end_s", "t_end", "stop"),
    "label": ("class", "action", "category"),
    "split": ("subset",),
}
"""Other names of columns; they count only where the column's own name is absent."""

_KNOWN = frozenset((*REQUIRED, *OPTIONAL))
_LABEL = "label:"
_SEPARATORS = (",", ";", "\t")
_CLOCK = re.compile(r"(?:([0-9]+):)?([0-9]+):([0-9]{1,2}(?:\.[0-9]+)?)")
_MISSPELT = 0.8
"""How alike two names must be to take one for a misspelling of the other: `lable`, `durration`, `ends`."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert CSV files; several are taken together.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    AnnotationError
        If a file is not such a table; the message lists every error with file, line, video and field.
    """
    collector = Collector(report, mend=False)
    for path in sources:
        table = _name_columns(path, _read(path, _expected(REQUIRED, OPTIONAL)), report)
        unused = sum(_collect(collector, table, row, f"{path}:{line}") for line, row in table.by_column())
        if unused:
            report.note(f"{path.name}: {unused} rows of videos without action have further cells, which are not kept")
    source = describe_source(sources, converter="csv")
    vocabularies = manifest.vocabularies if manifest else None
    return collector.finish(dataset=Path(source.files[0].name).stem, source=source, vocabularies=vocabularies)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: cells as text, stripped; blank lines left out."""

    separator: str
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    """Line number and cells, as many as there are columns."""

    def by_column(self) -> list[tuple[int, dict[str, str]]]:
        """Return line number and cells by column of every row."""
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

    def positive(self, text: str, *, clock: bool) -> float | None:
        """Return the number above 0 (`clock`: or clock time) that a cell holds, or None if it holds none."""
        number = as_number(self.seconds(text) if clock else self.number(text))
        return number if number is not None and number > 0 else None


def read_table(path: Path, *, required: Sequence[str], optional: Sequence[str] = (), others: bool = False) -> Table:
    """Read a table with a header.

    Parameters
    ----------
    path : Path
        The file: UTF-8, separated by commas, semicolons or tabs, quotes as of RFC 4180.
    required, optional : sequence of str
        Names of columns.
    others : bool
        True: columns of other names are no error, and are returned too.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is empty, has other columns, or rows of another length.
    """
    table = _read(path, _expected(required, optional))
    errors = [f"column {name!r} is missing" for name in required if name not in table.columns]
    for name in dict.fromkeys(table.columns):
        if table.columns.count(name) > 1:
            errors.append(f"column {name!r} appears twice")
        elif name not in (*required, *optional) and not others:
            errors.append(_unknown(name, (*required, *optional)))
    _refuse_columns(path, table, errors, _expected(required, optional))
    return _complete(path, table)


def read_rows(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), others: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """Read a table like `read_table`, and return line number and cells by column of every row."""
    return read_table(path, required=required, optional=optional, others=others).by_column()


def _read(path: Path, expected: str) -> Table:
    """Read a table whose header is not checked yet, nor the length of its rows."""
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


def _complete(path: Path, table: Table) -> Table:
    """Return the table, or refuse one without rows or with rows of another length than the header's."""
    if not table.rows:
        raise AnnotationError(f"{path}: no rows below the first line", hint="Add one row for each segment.")
    uneven = [(line, len(row)) for line, row in table.rows if len(row) != len(table.columns)]
    if uneven:
        line, found = uneven[0]
        more = f" (and {len(uneven) - 1} more lines)" if len(uneven) > 1 else ""
        raise AnnotationError(
            f"{path}:{line}: {found} cells, expected {len(table.columns)} as in the first line{more}",
            hint='Put a value that holds the separator into quotes: "a, b".',
        )
    return table


def _expected(required: Sequence[str], optional: Sequence[str]) -> str:
    return ",".join(required) + (f"[,{','.join(optional)}]" if optional else "")


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"unknown column {name!r}" + (f" (did you mean {close[0]!r}?)" if close else "")


def _refuse_columns(path: Path, table: Table, errors: Sequence[str], expected: str) -> None:
    if errors:
        hint = "Rename the column, or take it out."
        if len(table.columns) == 1:
            hint = "Separate the columns by commas, semicolons or tabs."
        elif "start" not in table.columns and any("frame" in name.lower() for name in table.columns):
            hint = "Times are in seconds: divide numbers of frames by the frames per second."
        raise AnnotationError(f"{path}:1: {'; '.join(errors)}; expected {expected}", hint=hint)


def _name_columns(path: Path, table: Table, report: ConversionReport) -> Table:
    """Return the table with its columns under our names, unnamed and empty ones taken out."""
    plain = [re.sub(r"[ -]+", "_", column.lower()) for column in table.columns]
    has_vocabularies = any(name.startswith(_LABEL) for name in plain)
    columns, errors, read_as = list(table.columns), [], []
    for place, name in enumerate(plain):
        if name in (*REQUIRED, *OPTIONAL):
            columns[place] = name
        elif name.startswith(_LABEL):
            columns[place] = _LABEL + columns[place].partition(":")[2].strip()
            if columns[place] == _LABEL:
                errors.append(f"column {table.columns[place]!r} names no vocabulary")
    for name, synonyms in SYNONYMS.items():
        places = [place for place, found in enumerate(plain) if found in synonyms]
        if name in columns or not places or (name == "label" and has_vocabularies):
            continue
        if len(places) > 1:
            found = " and ".join(repr(table.columns[place]) for place in places)
            errors.append(f"columns {found} could each be {name!r}: give one of them this name")
        columns[places[0]] = name
        read_as.append(f"{table.columns[places[0]]!r} as {name!r}")
    missing = [name for name in (*REQUIRED, *OPTIONAL) if name not in columns]
    if has_vocabularies and "label" in missing:
        missing.remove("label")
    errors += [f"column {name!r} is missing" for name in missing if name in REQUIRED]
    for name in dict.fromkeys(columns):
        if name and columns.count(name) > 1:
            errors.append(f"column {name!r} appears twice")
        elif name in table.columns and difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_MISSPELT):
            errors.append(_unknown(name, missing))
    _refuse_columns(path, table, errors, _expected(REQUIRED, OPTIONAL))
    if read_as:
        report.note(f"{path.name}: column {', '.join(read_as)}")
    return _without_unnamed(path, _complete(path, Table(table.separator, columns, table.rows)))


def _without_unnamed(path: Path, table: Table) -> Table:
    """Take out the columns without a name that spreadsheets leave at the end."""
    for line, row in table.rows:
        for name, cell in zip(table.columns, row, strict=True):
            if cell and not name:
                raise AnnotationError(f"{path}:{line}: {cell!r} stands in a column without a name", hint="Name it.")
    kept = [place for place, name in enumerate(table.columns) if name]
    rows = [(line, [row[place] for place in kept]) for line, row in table.rows]
    return Table(table.separator, [table.columns[place] for place in kept], rows)


def _collect(collector: Collector, table: Table, row: dict[str, str], where: str) -> bool:
    """Collect a row; return whether it has cells that cannot be kept."""
    video_id, path = split_name(row["video"])
    if not video_id:
        collector.error(where, "video: must be the name of a video, found ''")
        return False
    stated: dict[str, Any] = {"split": row.get("split") or None, "path": row.get("path", path) or None}
    for name in ("duration", "fps"):
        text = row.get(name, "")
        stated[name] = table.positive(text, clock=name == "duration")
        if text and stated[name] is None:
            collector.error(where, f"{name}: must be a number above 0, found {text!r}", video_id=video_id)
    collector.video(video_id, where, **stated)
    labels = {_vocabulary(name): cell for name, cell in row.items() if _vocabulary(name) and cell}
    attributes = {name: cell for name, cell in row.items() if cell and not (name in _KNOWN or _vocabulary(name))}
    given = [name for name in ("start", "end") if row[name]] + ["label"] * bool(labels)
    if not given:
        collector.no_action(video_id, where)
        return bool(attributes)
    if len(given) < 3:
        missing = ", ".join(name for name in ("start", "end", "label") if name not in given)
        collector.error(where, f"{missing}: empty, but {', '.join(given)} is given", video_id=video_id)
        return False
    start, end = table.seconds(row["start"]), table.seconds(row["end"])
    collector.segment(video_id, where, start=start, end=end, labels=labels, attributes=attributes)
    return False


def _vocabulary(column: str) -> str:
    """Return the vocabulary that a column's labels are of; empty if it holds no labels."""
    return ACTION if column == "label" else column.removeprefix(_LABEL) if column.startswith(_LABEL) else ""
