"""THUMOS14, from the official text files or from ActionFormer's `thumos14.json`.

Text files (https://www.crcv.ucf.edu/THUMOS14/, temporal annotations of validation and
test): one file a class and split, `BaseballPitch_val.txt`, `BaseballPitch_test.txt`,
each line `video start end` in seconds. `Ambiguous_val.txt` and `Ambiguous_test.txt` hold
stretches that are no class: they become `ignored`. Give the files, or their folders.

The text files tell neither durations nor frame rates. Add a CSV file
`video,duration[,fps]` to the sources to give them; without it a video ends with its
last segment, and the report says so once. Each CliffDiving segment is also in the files of
Diving, and stays in both.

JSON: the layout of `asl_kit.annotations.converters.activitynet_json`, label `Ambiguous`
to be ignored, durations and frame rates included.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector, as_number, describe_source, number_from_text, read_text
from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.converters.csv_table import read_rows
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifest import Manifest

SPLITS = {"val": "validation", "test": "test"}
"""Split by the last part of a text file's name."""
AMBIGUOUS = "Ambiguous"
"""Class of the stretches to ignore, and the reason given for it."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the text files, or one JSON file, of THUMOS14.

    Raises
    ------
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a source is neither layout, or holds no annotations.
    """
    if any(path.suffix == ".json" for path in sources):
        return convert_published(
            sources,
            dataset="thumos14",
            converter="thumos14",
            manifest=manifest,
            report=report,
            ignored_label=AMBIGUOUS,
        )
    text_files, tables = _find_files(sources)
    collector = Collector(report, mend=True)
    for path in text_files:
        _collect_class(collector, path)
    for path in tables:
        _collect_facts(collector, report, path)
    source = describe_source([*text_files, *tables], converter="thumos14")
    vocabularies = manifest.vocabularies if manifest else None
    return collector.finish(dataset="thumos14", source=source, vocabularies=vocabularies)


def _find_files(sources: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the text files of classes and the CSV files of durations among the sources."""
    text_files: list[Path] = []
    tables: list[Path] = []
    for source in sources:
        if source.is_dir():
            found = sorted(path for split in SPLITS for path in source.rglob(f"*_{split}.txt"))
            if not found:
                raise AnnotationError(f"{source}: no file named CLASS_val.txt or CLASS_test.txt in this folder")
            text_files += found
        elif not source.exists():
            raise MissingFileError(f"{source}: no such file")
        elif source.suffix == ".csv":
            tables.append(source)
        elif source.suffix == ".txt" and source.stem.rpartition("_")[2] in SPLITS:
            text_files.append(source)
        else:
            raise AnnotationError(f"{source}: expected CLASS_val.txt, CLASS_test.txt, a folder of them, or a .json")
    return text_files, tables


def _collect_class(collector: Collector, path: Path) -> None:
    label, _, split = path.stem.rpartition("_")
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split()
        where = f"{path}:{number}"
        if not cells:
            continue
        if len(cells) != 3:
            collector.fault(where, f"expected `video start end`, found {line.strip()!r}")
            continue
        video_id, start, end = cells
        collector.video(video_id, where, split=SPLITS[split])
        collector.annotated(video_id)
        collector.segment(
            video_id,
            where,
            start=number_from_text(start),
            end=number_from_text(end),
            labels=None if label == AMBIGUOUS else {ACTION: label},
            reason=AMBIGUOUS,
        )


def _collect_facts(collector: Collector, report: ConversionReport, path: Path) -> None:
    """Add durations and frame rates from a CSV table; its videos without annotation are left out."""
    unknown = 0
    for line, row in read_rows(path, required=("video", "duration"), optional=("fps",)):
        if row["video"] not in collector:
            unknown += 1
            continue
        facts = {name: as_number(number_from_text(row.get(name, ""))) for name in ("duration", "fps")}
        for name, value in facts.items():
            if row.get(name) and (value is None or value <= 0):
                collector.fault(f"{path}:{line}", f"{name}: must be a number above 0, found {row[name]!r}")
        collector.video(row["video"], f"{path}:{line}", duration=facts["duration"], fps=facts["fps"])
    if unknown:
        report.note(f"{path.name}: {unknown} videos have no annotation and are left out")
