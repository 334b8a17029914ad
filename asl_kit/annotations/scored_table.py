"""Detections as a table, as `asl-kit predict -o x.csv` writes it, or after a spreadsheet program has edited it."""

from __future__ import annotations

from pathlib import Path

from asl_kit.annotations.named_tables import Layout, read_named_table
from asl_kit.annotations.tables import DEFAULT_TABLE, TIME_HINT, TableOptions
from asl_kit.base.console import err, warn
from asl_kit.errors import AnnotationError, PredictionError

COLUMNS = ("video", "start", "end", "label", "score")

Row = tuple[str, float, float, str, float]


def read_scored_rows(path: Path, options: TableOptions = DEFAULT_TABLE) -> tuple[list[str], list[Row]]:
    """Return the ids of all videos, and the rows (video id, start, end, label, score), in the order of the file.

    Columns may be in any order, and there may be others. A row with only a video states that nothing was detected in
    it. `asl_kit.annotations.tables` describes the separators and the formats of times, and
    `asl_kit.annotations.column_words` other names of the columns. How the table was read is noted on stderr where that
    is not obvious.

    Parameters
    ----------
    path : Path
        The table.
    options : TableOptions
        What the user states about it.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UsageError
        If a column is stated that such a table does not have.
    PredictionError
        If a column is missing, or a cell is empty or not a number. The message names file, line and column.
    """
    try:
        named = read_named_table(path, Layout(required=COLUMNS), options)
    except AnnotationError as error:
        raise PredictionError(error.message, hint=error.hint) from error
    for note in named.notes:
        warn(err(), note, what="note")
    table, places = named.table, [named.columns[name] for name in COLUMNS]
    video_ids: dict[str, None] = {}
    rows: list[Row] = []
    for line, cells in table.rows:
        video_id, start, end, label, score = (cells[place] for place in places)
        if start or end or label or score or not video_id:
            for name, text in zip(COLUMNS, (video_id, start, end, label, score), strict=True):
                if not text:
                    raise PredictionError(f"{path}:{line}: {name}: empty")
            numbers = table.seconds(start), table.seconds(end), table.number(score)
            for name, number in zip(("start", "end", "score"), numbers, strict=True):
                if isinstance(number, str):
                    hint = None if name == "score" else TIME_HINT
                    raise PredictionError(f"{path}:{line}: {name}: expected a number, found {number!r}", hint=hint)
            start_s, end_s, value = map(float, numbers)
            rows.append((video_id, start_s, end_s, label, value))
        video_ids[video_id] = None
    return list(video_ids), rows
