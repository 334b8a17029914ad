"""What the converters of EPIC-KITCHENS-100 and EPIC-SOUNDS share: tables and JSON files in similar layouts.

Tables have one row per segment, with times as `HH:MM:SS.sss`; `EPIC_100_video_info.csv` has one row per
video: `video_id,duration,fps,resolution`, in seconds and frames per second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from asl_kit.annotations.collector import Collector, as_number, number_from_text
from asl_kit.annotations.converters.activitynet_json import annotations_of
from asl_kit.annotations.tables import read_rows

VIDEO_INFO = "EPIC_100_video_info.csv"
SPLITS = {"training": "train", "val": "validation", "testing": "test"}
"""Split by its name in JSON files, where that differs."""

_TIMESTAMP = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,6})?)")
_NUMBERED_LABEL = re.compile(r"id_([0-9]{1,4})")


class TimedRow(NamedTuple):
    """A row of a table: `start` and `stop` are seconds, or the text of the cell if it is not a timestamp."""

    video_id: str
    where: str
    cells: dict[str, str]
    start: float | str
    stop: float | str


def seconds(timestamp: str) -> float | str:
    """Return the seconds of a timestamp `HH:MM:SS.sss`, or the text itself if it is not a timestamp."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is None:
        return timestamp
    # Rounded to microseconds: the sum of floats for 00:05:49.16 is 349.15999999999997.
    return round(int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]), 6)


def timed_rows(
    collector: Collector, path: Path, *, id_column: str, others: Sequence[str] = (), split: str | None
) -> Iterator[TimedRow]:
    """Yield the rows of a table; record their videos, unless `split` is None, and flag duplicate ids."""
    lines: dict[str, int] = {}
    videos: set[str] = set()
    required = (id_column, "video_id", "start_timestamp", "stop_timestamp", *others)
    for line, cells in read_rows(path, required=required, others=True):
        where, video_id = f"{path}:{line}", cells["video_id"]
        if not video_id:
            collector.error(where, "video_id: must be the name of a video, found ''")
            continue
        if split is not None and video_id not in videos:
            videos.add(video_id)
            collector.video(video_id, where, split=split)
        first = lines.setdefault(cells[id_column], line)
        if first != line:
            text = f"{id_column}: {cells[id_column]!r} is that of line {first} too"
            collector.report.flag("segment", video_id, where, text)
        times = seconds(cells["start_timestamp"]), seconds(cells["stop_timestamp"])
        yield TimedRow(video_id, where, cells, *times)


def check_counts(collector: Collector, row: TimedRow, unit: str, rate_hz: float, tolerance: float, rate: str) -> None:
    """Flag timestamps of a row that are more than `tolerance` frames or samples from its counts of them.

    Parameters
    ----------
    collector : Collector
        Its report records what is flagged.
    row : TimedRow
        The row, with columns such as `start_frame` and `stop_frame`.
    unit : {"frame", "sample"}
        What is counted.
    rate_hz, tolerance : float
        Counts per second, and the largest difference.
    rate : str
        The rate in words, for the report.
    """
    for name, time in (("start", row.start), ("stop", row.stop)):
        cell = row.cells[f"{name}_{unit}"]
        count = number_from_text(cell)
        if isinstance(time, str):
            continue  # not a time: the collector reports it
        if isinstance(count, str) or not abs(time * rate_hz - count) <= tolerance:
            text = f"{name}_timestamp: {row.cells[f'{name}_timestamp']} is not at {name}_{unit} {cell!r}{rate}"
            collector.report.flag("segment", row.video_id, row.where, text)


def collect_unlabelled(collector: Collector, path: Path, *, id_column: str, split: str) -> dict[str, float]:
    """Record the videos of a test split, exclude its rows, which have no class, and return each video's last time."""
    report = collector.report
    last_s: dict[str, float] = {}
    count = 0
    for row in timed_rows(collector, path, id_column=id_column, split=split):
        count += 1
        report.segments_read += 1
        report.exclude("segment", row.video_id, row.where, "has no class: this split is not annotated")
        last_s[row.video_id] = max(last_s.get(row.video_id, 0.0), as_number(row.stop) or 0.0)
    report.note(f"{path.name}: {count} timestamps without class are left out: the split {split!r} is not annotated")
    return last_s


def collect_video_info(collector: Collector, path: Path | None, last_s: Mapping[str, float]) -> None:
    """Add durations and frame rates to the videos that are recorded.

    Parameters
    ----------
    collector : Collector
        Has recorded the videos.
    path : Path or None
        `EPIC_100_video_info.csv`, if it is among the sources.
    last_s : mapping
        The last known time, in seconds, of videos without segments: their duration if the table does not state it.
    """
    report = collector.report
    told, unused = set(), 0
    for line, row in read_rows(path, required=("video_id", "duration", "fps"), others=True) if path else ():
        where, video_id = f"{path}:{line}", row["video_id"]
        if video_id not in collector:
            unused += 1
            continue
        duration_s, fps = (
            collector.positive(where, name, row[name], video_id=video_id) for name in ("duration", "fps")
        )
        collector.video(video_id, where, duration=duration_s, fps=fps)
        told.add(video_id)
    if path and unused:
        report.note(f"{path.name}: {unused} videos are in none of the given splits and are left out")
    untold = {video_id: end_s for video_id, end_s in last_s.items() if video_id not in told and end_s > 0}
    for video_id, end_s in untold.items():
        collector.video(video_id, "last timestamp", duration=end_s)
    if untold:
        report.note(f"the duration of {len(untold)} test videos is not stated: taken from their last timestamp")


def name_splits(database: Mapping[str, Any]) -> None:
    """Rename the splits in a JSON file to their official names."""
    for entry in database.values():
        if isinstance(entry, dict) and isinstance(entry.get("subset"), str):
            entry["subset"] = SPLITS.get(entry["subset"].lower(), entry["subset"])


def class_name(label: object, label_id: object, classes: Sequence[str]) -> object:
    """Return the name of the class with the number `label_id`, or of a label such as `id_003`; otherwise the label."""
    if type(label_id) is not int and isinstance(label, str) and (match := _NUMBERED_LABEL.fullmatch(label)):
        label_id = int(match[1])
    return classes[label_id] if type(label_id) is int and 0 <= label_id < len(classes) else label


def name_classes(
    collector: Collector, database: Mapping[str, Any], path: Path, vocabulary: str, classes: Sequence[str]
) -> None:
    """Replace the labels in a JSON file by the names of their classes; flag labels that contradict their `label_id`."""
    for video_id, entry in database.items():
        for number, annotation in enumerate(annotations_of(entry)):
            label = annotation.get("label")
            name = class_name(label, annotation.get("label_id"), classes)
            if isinstance(label, str) and label != name and label in classes:
                text = f"annotations.{number}.label: {label!r} is not the class {name!r} of its label_id, which counts"
                collector.report.flag("segment", video_id, str(path), text)
            annotation["label"] = name
            if isinstance(name, str):
                annotation["labels"] = {vocabulary: name}
