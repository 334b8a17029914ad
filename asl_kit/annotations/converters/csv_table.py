"""Users' own annotations, as a table: `video,start,end,label[,split,duration,fps,path]`.

One row a segment, times in seconds, first row the names of the columns, in any
order. A row with `start`, `end` and `label` empty states that the video was
annotated and has no action. `split`, `duration` (seconds), `fps` and `path` are
facts of the video: give them in one of its rows or in all of them. Without a
split a video is in `train`; without a duration it ends with its last segment;
the report says so. Rows that contradict themselves or each other are refused,
all in one message.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, Collector, describe_source, number_from_text, read_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.errors import AnnotationError
from asl_kit.manifest import Manifest

REQUIRED = ("video", "start", "end", "label")
OPTIONAL = ("split", "duration", "fps", "path")


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert CSV files; several are taken together.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    AnnotationError
        If a file is not such a table; the message lists every fault with file, line, video and field.
    """
    collector = Collector(report, mend=False)
    for path in sources:
        for line, row in read_rows(path, required=REQUIRED, optional=OPTIONAL):
            _collect(collector, row, f"{path}:{line}")
    source = describe_source(sources, converter="csv")
    vocabularies = manifest.vocabularies if manifest else None
    return collector.finish(dataset=Path(source.files[0].name).stem, source=source, vocabularies=vocabularies)


def read_rows(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), others: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header.

    Parameters
    ----------
    path : Path
        The file: UTF-8, commas, quotes as of RFC 4180.
    required, optional : sequence of str
        Names of columns.
    others : bool
        True: columns of other names are no fault, and are returned too.

    Returns
    -------
    list of (int, dict)
        Line number and cells by column, stripped; blank lines left out.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is empty, has other columns, or rows of another length.
    """
    expected = ",".join(required) + (f"[,{','.join(optional)}]" if optional else "")
    reader = csv.reader(read_text(path).splitlines(keepends=True), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row)))
    except csv.Error as fault:
        raise AnnotationError(f"{path}:{reader.line_num}: not a CSV file: {fault}") from fault
    if not rows:
        raise AnnotationError(f"{path}: empty; expected a first line {expected}")
    _, columns = rows.pop(0)
    _check_columns(path, columns, required, optional, expected, others=others)
    if not rows:
        raise AnnotationError(f"{path}: no rows below the first line", hint="Add one row for each segment.")
    uneven = [(line, len(row)) for line, row in rows if len(row) != len(columns)]
    if uneven:
        line, found = uneven[0]
        more = f" (and {len(uneven) - 1} more lines)" if len(uneven) > 1 else ""
        raise AnnotationError(
            f"{path}:{line}: {found} cells, expected {len(columns)} as in the first line{more}",
            hint='Put a value that holds a comma into quotes: "a, b".',
        )
    return [(line, dict(zip(columns, row, strict=True))) for line, row in rows]


def _check_columns(
    path: Path,
    columns: Sequence[str],
    required: Sequence[str],
    optional: Sequence[str],
    expected: str,
    *,
    others: bool,
) -> None:
    known = (*required, *optional)
    faults = [f"column {name!r} is missing" for name in required if name not in columns]
    for name in dict.fromkeys(columns):
        if name not in known and not others:
            close = difflib.get_close_matches(name.lower(), known, n=1)
            faults.append(f"unknown column {name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
        elif columns.count(name) > 1:
            faults.append(f"column {name!r} appears twice")
    if faults:
        hint = "Separate the columns by commas." if len(columns) == 1 else "Rename the column, or take it out."
        raise AnnotationError(f"{path}:1: {'; '.join(faults)}; expected {expected}", hint=hint)


def _collect(collector: Collector, row: dict[str, str], where: str) -> None:
    video_id = row["video"]
    if not video_id:
        collector.fault(where, "video: must be the name of a video, found ''")
        return
    stated: dict[str, Any] = {name: row.get(name) or None for name in ("split", "path")}
    for name in ("duration", "fps"):
        text = row.get(name)
        number = number_from_text(text) if text else None
        if number is None or (isinstance(number, float) and 0 < number < float("inf")):
            stated[name] = number
        else:
            collector.fault(where, f"{name}: must be a number above 0, found {text!r}", video_id=video_id)
    collector.video(video_id, where, **stated)
    given = [name for name in ("start", "end", "label") if row[name]]
    if not given:
        collector.no_action(video_id, where)
        return
    if len(given) < 3:
        missing = ", ".join(name for name in ("start", "end", "label") if name not in given)
        collector.fault(where, f"{missing}: empty, but {', '.join(given)} is given", video_id=video_id)
        return
    start, end = number_from_text(row["start"]), number_from_text(row["end"])
    collector.segment(video_id, where, start=start, end=end, labels={ACTION: row["label"]})
