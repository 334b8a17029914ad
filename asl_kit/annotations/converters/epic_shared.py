"""What the converters of EPIC-KITCHENS-100 and EPIC-SOUNDS have in common: tables and JSON files of the same make.

Tables have a row a segment, times as `HH:MM:SS.sss`; `EPIC_100_video_info.csv` has a row a
video: `video_id,duration,fps,resolution`, seconds and frames per second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from asl_kit.annotations.collector import Collector, as_number, number_from_text
from asl_kit.annotations.converters.csv_table import read_rows
from asl_kit.annotations.report import ConversionReport

VIDEO_INFO = "EPIC_100_video_info.csv"
SPLITS = {"training": "train", "val": "validation", "testing": "test"}
"""Split by what JSON files call it, where that differs."""

_TIMESTAMP = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,6})?)")
_NUMBERED_LABEL = re.compile(r"id_([0-9]{1,4})")


class TimedRow(NamedTuple):
    """A row of a table: `start` and `stop` are seconds, or what stands in place of a timestamp."""

    video_id: str
    where: str
    cells: dict[str, str]
    start: float | str
    stop: float | str


def seconds(timestamp: str) -> float | str:
    """Return the seconds that `HH:MM:SS.sss` says, or the text itself if it says none."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is None:
        return timestamp
    # Rounded to microseconds: as a sum of floats 00:05:49.16 would be 349.15999999999997.
    return round(int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]), 6)


def timed_rows(
    collector: Collector,
    report: ConversionReport,
    path: Path,
    *,
    id_column: str,
    others: Sequence[str] = (),
    split: str | None,
) -> Iterator[TimedRow]:
    """Yield the rows of a table; record their videos, unless `split` is None, and flag ids that come again."""
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
            report.flag("segment", video_id, where, f"{id_column}: {cells[id_column]!r} is that of line {first} too")
        times = seconds(cells["start_timestamp"]), seconds(cells["stop_timestamp"])
        yield TimedRow(video_id, where, cells, *times)


def is_apart(time: float | str, count_text: str, rate_hz: float, tolerance: float) -> bool:
    """Say whether a time and a count of frames or samples are more than `tolerance` frames or samples apart."""
    count = number_from_text(count_text)
    if isinstance(time, str):
        return False  # no time at all, which the collector reports
    return isinstance(count, str) or not abs(time * rate_hz - count) <= tolerance


def collect_unlabelled(
    collector: Collector, report: ConversionReport, path: Path, *, id_column: str, split: str
) -> dict[str, float]:
    """Record the videos of a test split, leave out its rows, which have no class, and return each video's last time."""
    last_s: dict[str, float] = {}
    count = 0
    for row in timed_rows(collector, report, path, id_column=id_column, split=split):
        count += 1
        report.segments_read += 1
        report.exclude("segment", row.video_id, row.where, "has no class: this split is not annotated")
        last_s[row.video_id] = max(last_s.get(row.video_id, 0.0), as_number(row.stop) or 0.0)
    report.note(f"{path.name}: {count} timestamps without class are left out: the split {split!r} is not annotated")
    return last_s


def collect_video_info(
    collector: Collector, report: ConversionReport, path: Path | None, last_s: Mapping[str, float]
) -> None:
    """Add durations and frame rates to the videos that are recorded.

    Parameters
    ----------
    collector : Collector
        Has the videos.
    report : ConversionReport
        Is told how many rows of the table are of no use.
    path : Path or None
        `EPIC_100_video_info.csv`, if it is there.
    last_s : mapping
        The last time known of videos that have no segment to tell their duration, in case the table does not.
    """
    told, unused = set(), 0
    for line, row in read_rows(path, required=("video_id", "duration", "fps"), others=True) if path else ():
        where, video_id = f"{path}:{line}", row["video_id"]
        if video_id not in collector:
            unused += 1
            continue
        facts = {name: as_number(number_from_text(row[name])) for name in ("duration", "fps")}
        for name, value in facts.items():
            if value is None or value <= 0:
                text = f"{name}: must be a number above 0, found {row[name]!r}"
                collector.error(where, text, video_id=video_id)
        collector.video(video_id, where, duration=facts["duration"], fps=facts["fps"])
        told.add(video_id)
    if path and unused:
        report.note(f"{path.name}: {unused} videos are in none of the given splits and are left out")
    untold = {video_id: end_s for video_id, end_s in last_s.items() if video_id not in told and end_s > 0}
    for video_id, end_s in untold.items():
        collector.video(video_id, "last timestamp", duration=end_s)
    if untold:
        report.note(f"the duration of {len(untold)} test videos is not stated: taken from their last timestamp")


def annotations_of(entry: object) -> list[dict[str, Any]]:
    """Return the annotations of a video in a JSON file that can be worked on; errors are found elsewhere."""
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    return [item for item in annotations if isinstance(item, dict)] if isinstance(annotations, list) else []


def name_splits(database: Mapping[str, Any]) -> None:
    """Call the splits in a JSON file by their official names."""
    for entry in database.values():
        if isinstance(entry, dict) and isinstance(entry.get("subset"), str):
            entry["subset"] = SPLITS.get(entry["subset"].lower(), entry["subset"])


def class_name(label: object, label_id: object, classes: Sequence[str]) -> object:
    """Return the name of the class that `label_id`, or a label such as `id_003`, numbers; otherwise the label."""
    if type(label_id) is not int and isinstance(label, str) and (match := _NUMBERED_LABEL.fullmatch(label)):
        label_id = int(match[1])
    return classes[label_id] if type(label_id) is int and 0 <= label_id < len(classes) else label


def name_classes(
    report: ConversionReport, database: Mapping[str, Any], path: Path, vocabulary: str, classes: Sequence[str]
) -> None:
    """Call the classes in a JSON file by their names; flag labels that their `label_id` contradicts."""
    for video_id, entry in database.items():
        for number, annotation in enumerate(annotations_of(entry)):
            label = annotation.get("label")
            name = class_name(label, annotation.get("label_id"), classes)
            if isinstance(label, str) and label != name and label in classes:
                text = f"annotations.{number}.label: {label!r} is not the class {name!r} of its label_id, which counts"
                report.flag("segment", video_id, str(path), text)
            annotation["label"] = name
            if isinstance(name, str):
                annotation["labels"] = {vocabulary: name}
