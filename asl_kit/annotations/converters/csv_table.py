"""Users' own annotations, as a table: `video,start,end,label[,split,duration,fps,path]`.

There is one row per segment; the first row names the columns, in any order. A row with empty `start`, `end` and label
states that the video was annotated and has no action. `split`, `duration`, `fps` and `path` are
facts about the video: give them in one of its rows or in all of them. A video without a split is in
`train`, and a video without a duration ends with its last segment; the report says so. Rows that contradict
themselves or each other are refused, with all errors in one message.

Files that spreadsheets write are read by these rules (see also `asl_kit.annotations.tables`):

- Column names are not case-sensitive, and spaces and hyphens count as underscores; `SYNONYMS` lists the
  other names that are accepted. The report says which of them were used.
- `start`, `end` and `duration` are seconds (`75.5`) or a clock time (`1:15.5`, `0:01:15.5`). A decimal comma
  is accepted where commas do not separate cells.
- A video that is named by its file, `kitchen/a.mp4`, has the id `a` and this path; ids without the suffix of a
  video file stay as they are.
- Columns `label:verb`, `label:noun` give a segment a class in each of several vocabularies; some may be empty.
- Any other column becomes an attribute of the segment, as text, where it is not empty. A name that is
  almost that of a missing column (`lable`) is refused as a misspelling.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.tables import (
    TIME_HINT,
    Table,
    check_columns,
    check_rows,
    expected_columns,
    read_cells,
    unknown_column,
)
from asl_kit.annotations.video_facts import read_row
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

_KNOWN = (*REQUIRED, *OPTIONAL)
_EXPECTED = expected_columns(REQUIRED, OPTIONAL)
_LABEL = "label:"
_MISSPELT = 0.8
"""Similarity of two names from which one counts as a misspelling of the other: `lable`, `durration`, `ends`."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert one or more tables of segments."""
    collector = Collector(report, mend=False, manifest=manifest)
    for path in sources:
        table = _name_columns(path, read_cells(path, _EXPECTED), report)
        unused = sum(_collect(collector, table, row, f"{path}:{line}") for line, row in table.by_column())
        if unused:
            report.note(f"{path.name}: {unused} rows of videos without action have further cells, which are not kept")
    return collector.finish(sources, dataset=Path(min(path.name for path in sources)).stem, converter="csv")


def _name_columns(path: Path, table: Table, report: ConversionReport) -> Table:
    """Return the checked table with its columns under our names, and without columns that have no name."""
    plain = [re.sub(r"[ -]+", "_", column.lower()) for column in table.columns]
    has_vocabularies = any(name.startswith(_LABEL) for name in plain)
    columns, errors, read_as = list(table.columns), [], []
    for place, name in enumerate(plain):
        if name in _KNOWN:
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
    missing = [name for name in _KNOWN if name not in columns and not (name == "label" and has_vocabularies)]
    for name in dict.fromkeys(columns):
        if name and columns.count(name) > 1:
            errors.append(f"column {name!r} appears twice")
        elif name in table.columns and difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_MISSPELT):
            errors.append(unknown_column(name, missing))
    required = {name: SYNONYMS[name] for name in missing if name in REQUIRED}
    check_columns(path, table, required, errors, _EXPECTED)
    if read_as:
        report.note(f"{path.name}: column {', '.join(read_as)}")
    check_rows(path, table)
    return _without_unnamed(path, Table(table.separator, columns, table.rows))


def _without_unnamed(path: Path, table: Table) -> Table:
    """Remove the empty columns without a name that spreadsheets leave at the end."""
    for line, row in table.rows:
        for name, cell in zip(table.columns, row, strict=True):
            if cell and not name:
                raise AnnotationError(f"{path}:{line}: {cell!r} is in a column without a name", hint="Name the column.")
    kept = [place for place, name in enumerate(table.columns) if name]
    rows = [(line, [row[place] for place in kept]) for line, row in table.rows]
    return Table(table.separator, [table.columns[place] for place in kept], rows)


def _collect(collector: Collector, table: Table, row: dict[str, str], where: str) -> bool:
    """Collect a row; return whether it has cells that cannot be kept."""
    video_id, path = split_name(row["video"])
    facts = read_row(collector, table, row, where, video_id)
    if facts is None:
        return False
    collector.video(
        video_id,
        where,
        split=row.get("split") or None,
        duration=facts.duration_s,
        fps=facts.fps,
        path=row.get("path", path) or None,
    )
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
    if isinstance(start, str) or isinstance(end, str):
        collector.hint = TIME_HINT
    collector.segment(video_id, where, start=start, end=end, labels=labels, attributes=attributes)
    return False


def _vocabulary(column: str) -> str:
    """Return the vocabulary of the labels in a column, or an empty text for another column."""
    return ACTION if column == "label" else column.removeprefix(_LABEL) if column.startswith(_LABEL) else ""
