"""Predictions on disk: ActivityNet detection JSON, or a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from asl_kit.annotations.scored_table import read_scored_rows
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.files import atomic_write
from asl_kit.detections.json_reader import EntryFile, EntryFormat, read_entries
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError, UsageError, error_context


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    segment: tuple[float, float]
    label: Annotated[str, msgspec.Meta(min_length=1)]
    score: float


class _File(EntryFile):
    version: msgspec.Raw = msgspec.Raw()
    external_data: msgspec.Raw = msgspec.Raw()


def _labels(entries: Sequence[_Entry]) -> list[str]:
    return [entry.label for entry in entries]


_FORMAT = EntryFormat(
    entry=_Entry,
    expected={"segment": "two numbers [start, end]", "label": "a class name", "score": "a number"},
    labels=_labels,
    file=_File,
    hint='expected {"results": {VIDEO: [{"segment": [START, END], "label": NAME, "score": NUMBER}, ...]}}',
)


def write_predictions(path: Path, detections: Detections) -> None:
    """Write ActivityNet detection JSON, whole or not at all.

    Nothing is rounded. Videos are in order of their id, one a line, and detections in order of
    score, so that equal detections make equal bytes.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"results": {')
        for number, video_id in enumerate(sorted(detections.video_ids)):
            entries = [
                {"segment": [row.start_s, row.end_s], "label": row.label, "score": row.score}
                for row in detections.rows(video_id)
            ]
            file.write(",\n" if number else "\n")
            file.write(f"{json.dumps(video_id, ensure_ascii=False)}: {json.dumps(entries, ensure_ascii=False)}")
        file.write("\n}}\n")


def read_predictions(path: Path, table: TableOptions = DEFAULT_TABLE) -> Detections:
    """Read ActivityNet detection JSON; or a table, if the suffix is ``.csv``: see `asl_kit.annotations.scored_table`.

    Video ids are in the order of the file; class names are those that occur, sorted.

    Parameters
    ----------
    path : Path
        The file.
    table : TableOptions
        Columns and encoding of a table, where they are not known by themselves.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UsageError
        If options for tables are stated, and the file is none.
    PredictionError
        If the file is neither, or an object has a key twice, or a number is not finite, or an end lies before its
        start. Names file, video, entry index and field.
    """
    if path.suffix.lower() != ".csv":
        refuse_table_options(path, table)
        return read_entries(path, _FORMAT)
    video_ids, rows = read_scored_rows(path, table)
    with error_context(path, PredictionError):
        return Detections.from_lists(rows, video_ids=video_ids)


def refuse_table_options(path: Path, table: TableOptions) -> None:
    """Raise a UsageError if options for tables are stated, for a file that is none."""
    if table != DEFAULT_TABLE:
        raise UsageError(
            f"{path}: columns or an encoding are stated, but this is not a table (.csv)",
            hint="asl-kit check x.csv --annotations FILE -o x.json makes JSON of a table.",
        )
