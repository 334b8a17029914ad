"""Detections as a table, with the columns of the CSV that `asl-kit convert csv` reads, and ``score``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from asl_kit.annotations.scored_table import COLUMNS
from asl_kit.base.files import atomic_write
from asl_kit.detections.json_format import write_predictions, write_tables
from asl_kit.detections.per_video import VideoDetections, join_tables
from asl_kit.detections.table import Detections

_COLUMNS = (*COLUMNS, "duration", "fps")


def write_detections(path: Path, videos: Sequence[VideoDetections]) -> list[Path]:
    """Write all that was found, and return the files: a table if the suffix is ``.csv``, else ActivityNet's JSON.

    Parameters
    ----------
    path : Path
        The file; of several vocabularies, each has its own: see `asl_kit.detections.json_format.write_tables`.
    videos : sequence of VideoDetections
        What was found in each video.
    """
    is_table = path.suffix.lower() == ".csv"
    write = partial(write_csv, videos=videos) if is_table else write_predictions
    return write_tables(path, join_tables(videos), write)


def write_csv(path: Path, detections: Detections, *, videos: Sequence[VideoDetections]) -> None:
    """Write one row a detection, whole or not at all; nothing is rounded.

    Videos are in order of their id, detections in order of score. A video in which nothing was found
    is a row with empty ``start``, ``end``, ``label`` and ``score``.

    Parameters
    ----------
    path : Path
        The file.
    detections : Detections
        Of one vocabulary.
    videos : sequence of VideoDetections
        Where durations and frame rates are taken from.
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
