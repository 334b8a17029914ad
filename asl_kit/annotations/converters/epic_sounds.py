"""EPIC-SOUNDS, from the official tables or from the JSON file of OpenTAD.

Tables (https://github.com/epic-kitchens/epic-sounds-annotations, its README at 57a922f), as files or as the
folder that contains them. Any of them may be missing, except that one with videos is needed:

- `EPIC_Sounds_train.csv`, `EPIC_Sounds_validation.csv`: `annotation_id`, `video_id`, `start_timestamp`,
  `stop_timestamp` (`HH:MM:SS.sss`), `start_sample`, `stop_sample` (of the sound track at 24 kHz),
  `description`, `class`, `class_id`.
- `EPIC_Sounds_recognition_test_timestamps.csv`: the same without description and class. The split
  `recognition_test` is not annotated: its videos are kept, and its rows are excluded and reported.
- `EPIC_Sounds_detection_test_videos.csv`: `video_id` of the videos of the split `test`, which is not annotated either.
- `sound_events_not_categorised.csv`: the same columns without class. A sound without a class is neither one of the 44
  classes nor background: it becomes `ignored`, with its description as the reason, in the videos
  of the splits that are given. The official evaluation does not use these sounds.
- `EPIC_100_video_info.csv` of EPIC-KITCHENS-100: `video_id`, `duration`, `fps`. Without it a video ends with its
  last segment.

The class is that of `class_id`. Times are those of the timestamps; sample numbers are compared with them.

JSON: the layout of `asl_kit.annotations.converters.activitynet_json`, class in the label, `id_003`
(`epic_sounds.json` of OpenTAD, tools/prepare_data/epic_sounds at 3dd7b03; splits `train`, `val`, `test`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.converters.activitynet_json import collect_database, read_database
from asl_kit.annotations.converters.epic_shared import (
    VIDEO_INFO,
    TimedRow,
    check_counts,
    collect_unlabelled,
    collect_video_info,
    name_classes,
    name_splits,
    timed_rows,
)
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import by_name, find_files
from asl_kit.annotations.tables import read_rows
from asl_kit.manifests.schema import Manifest

SEGMENTS = {"EPIC_Sounds_train.csv": "train", "EPIC_Sounds_validation.csv": "validation"}
"""Split of each table of segments."""
RECOGNITION_TEST = "EPIC_Sounds_recognition_test_timestamps.csv"
DETECTION_TEST = "EPIC_Sounds_detection_test_videos.csv"
NOT_CATEGORISED = "sound_events_not_categorised.csv"
SAMPLE_RATE_HZ = 24_000.0
SAMPLE_TOLERANCE = 12.0
"""Largest difference of a timestamp and a sample number, in samples: half a millisecond, as timestamps are rounded."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the tables, or the JSON files, of EPIC-SOUNDS."""
    collector = Collector(report, mend=True, manifest=manifest)
    names = manifest.classes if manifest else []
    if sources and all(path.suffix == ".json" for path in sources):
        files = list(sources)
        for path in files:
            database = read_database(path)["database"]
            name_splits(database)
            name_classes(collector, database, path, ACTION, names)
            collect_database(collector, database, path, vocabulary=ACTION)
    else:
        tables = by_name(
            find_files(sources, (*SEGMENTS, RECOGNITION_TEST, DETECTION_TEST, NOT_CATEGORISED, VIDEO_INFO))
        )
        files = list(tables.values())
        _collect_tables(collector, tables, names)
    return collector.finish(files, dataset="epic-sounds")


def _collect_tables(collector: Collector, tables: Mapping[str, Path], names: Sequence[str]) -> None:
    for table, split in SEGMENTS.items():
        if table in tables:
            _collect_segments(collector, tables[table], split, names)
    last_s = {}
    if RECOGNITION_TEST in tables:
        path = tables[RECOGNITION_TEST]
        last_s = collect_unlabelled(collector, path, id_column="annotation_id", split="recognition_test")
    if DETECTION_TEST in tables:
        path = tables[DETECTION_TEST]
        for line, row in read_rows(path, required=("video_id",), others=True):
            collector.video(row["video_id"], f"{path}:{line}", split="test")
    if NOT_CATEGORISED in tables:
        _collect_not_categorised(collector, tables[NOT_CATEGORISED])
    collect_video_info(collector, tables.get(VIDEO_INFO), last_s)


def _collect_segments(collector: Collector, path: Path, split: str, names: Sequence[str]) -> None:
    by_id = {str(class_id): name for class_id, name in enumerate(names)}
    others = ("start_sample", "stop_sample", "description", "class", "class_id")
    for row in timed_rows(collector, path, id_column="annotation_id", others=others, split=split):
        said, class_id = row.cells["class"], row.cells["class_id"]
        # An unknown id makes a label that is not a class, which the collector reports and drops.
        label = by_id.get(class_id, f"class_id {class_id}") if names else said
        if label != said and class_id in by_id:
            text = f"class: {said!r} is not the class {label!r} of class_id {class_id}, which counts"
            collector.report.flag("segment", row.video_id, row.where, text)
        _check_samples(collector, row)
        attributes = {name: row.cells[name] for name in ("annotation_id", "description")}
        collector.segment(
            row.video_id, row.where, start=row.start, end=row.stop, labels={ACTION: label}, attributes=attributes
        )


def _collect_not_categorised(collector: Collector, path: Path) -> None:
    report = collector.report
    others = ("start_sample", "stop_sample", "description")
    for row in timed_rows(collector, path, id_column="annotation_id", others=others, split=None):
        if row.video_id not in collector:
            report.segments_read += 1
            report.exclude("ignored", row.video_id, row.where, "its video is in none of the given splits")
            continue
        _check_samples(collector, row)
        reason = row.cells["description"]
        collector.segment(row.video_id, row.where, start=row.start, end=row.stop, labels=None, reason=reason)


def _check_samples(collector: Collector, row: TimedRow) -> None:
    check_counts(collector, row, "sample", SAMPLE_RATE_HZ, SAMPLE_TOLERANCE, " of 24 kHz")
