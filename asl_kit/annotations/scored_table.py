"""Detections as a table: what `asl-kit predict -o x.csv` writes, also after a spreadsheet program has had it."""

from __future__ import annotations

from pathlib import Path

from asl_kit.annotations.converters.csv_table import read_table
from asl_kit.errors import AnnotationError, PredictionError

COLUMNS = ("video", "start", "end", "label", "score")

Row = tuple[str, float, float, str, float]


def read_scored_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Return the ids of all videos, and (video id, start, end, label, score) rows, in the order of the file.

    Columns may stand in any order and among others. A row with a video alone states that nothing was found in it.
    Separators, and how times are written, are those of `asl_kit.annotations.converters.csv_table`.

    Parameters
    ----------
    path : Path
        The table.

    Raises
    ------
    MissingFileError
        If there is no such file.
    PredictionError
        If a column is missing, or a cell is empty or holds no number. Names file, line and column.
    """
    try:
        table = read_table(path, required=COLUMNS, others=True)
    except AnnotationError as error:
        raise PredictionError(error.message, hint=error.hint) from error
    places = [table.columns.index(name) for name in COLUMNS]
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
                    raise PredictionError(f"{path}:{line}: {name}: expected a number, found {number!r}")
            start_s, end_s, value = map(float, numbers)
            rows.append((video_id, start_s, end_s, label, value))
        video_ids[video_id] = None
    return list(video_ids), rows
