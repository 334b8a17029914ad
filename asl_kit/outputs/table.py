"""Detections as a table: the columns of the CSV that `asl-kit convert csv` reads, and ``score``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.scored_table import COLUMNS
from asl_kit.base.files import atomic_write
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables

_COLUMNS = (*COLUMNS, "duration", "fps")


def write_detections(path: Path, videos: Sequence[VideoDetections]) -> list[Path]:
    """Write all detections as a table if the suffix is ``.csv``, else as ActivityNet's JSON; return the files.

    With several vocabularies each has its own file: see `asl_kit.detections.table.DetectionTables.files`.
    """
    files = DetectionTables.join([video.tables for video in videos]).files(path)
    for file, detections in files.items():
        if path.suffix.lower() == ".csv":
            write_csv(file, detections, videos=videos)
        else:
            write_predictions(file, detections)
    return list(files)


def write_csv(path: Path, detections: Detections, *, videos: Sequence[VideoDetections]) -> None:
    """Write a table with one row per detection, atomically and without rounding; `videos` give durations and rates.

    Videos are sorted by id, their detections by falling score. A video without detections
    is a row with empty ``start``, ``end``, ``label`` and ``score``.
    """
    facts = {video.video_id: [repr(video.duration_s), repr(video.fps)] for video in videos}
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for video_id in sorted(detections.video_ids):
            rows = detections.rows(video_id)
            if not rows:
                writer.writerow([video_id, "", "", "", "", *facts[video_id]])
            for row in rows:
                times = repr(row.start_s), repr(row.end_s)
                writer.writerow([video_id, *times, row.label, repr(row.score), *facts[video_id]])
