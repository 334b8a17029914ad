"""MultiTHUMOS: 65 classes, densely, in the videos of THUMOS14.

`multithumos.zip` (http://ai.stanford.edu/~syyeung/everymoment.html) unpacks to a folder with a
README, `class_list.txt` (`number name` a line, from 1) and `annotations/`: one text
file a class, `BaseballPitch.txt`, each line `video start end` in seconds, of both splits;
a video's name tells its split. Give the unpacked folder, its `annotations`, or text files of classes.

The text files tell neither durations nor frame rates: add a CSV file `video,duration[,fps]` to
the sources to give them; without it a video ends with its last segment, and the report says so once.

JSON: OpenTAD's `multithumos_anno.json` (`asl_kit.annotations.converters.activitynet_json`), in which the test
videos are called `validation`, and `multithumos.json` with class numbers from 1
(`asl_kit.annotations.converters.actions_json`). Names tell the splits there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, Collector, describe_source, read_text
from asl_kit.annotations.converters.actions_json import read_json_database
from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.converters.thumos_text import collect_facts, collect_instances, with_splits_by_name
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifest import Manifest

NAME = "multithumos"
CLASS_LIST = "class_list.txt"


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the text files, or a JSON file, of MultiTHUMOS.

    Raises
    ------
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a source is of no layout that is known, or holds no annotations.
    """
    if any(path.suffix == ".json" for path in sources):
        read = partial(_read_json, classes=manifest.classes if manifest else ())
        return convert_published(sources, dataset=NAME, converter=NAME, manifest=manifest, report=report, read=read)
    text_files, class_lists, tables = _find_files(sources)
    collector = Collector(report, mend=True)
    for path in text_files:
        collect_instances(collector, path, labels={ACTION: path.stem})
    for path in class_lists:
        _compare_classes(path, manifest, report)
    for path in tables:
        collect_facts(collector, report, path)
    source = describe_source([*text_files, *class_lists, *tables], converter=NAME)
    return collector.finish(dataset=NAME, source=source, vocabularies=manifest.vocabularies if manifest else None)


def _read_json(path: Path, *, classes: Sequence[str]) -> dict[str, Any]:
    return with_splits_by_name(read_json_database(path, classes=classes, first_number=1))


def _find_files(sources: Sequence[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the text files of classes, the lists of classes, and the CSV files of durations among the sources."""
    text_files: list[Path] = []
    class_lists: list[Path] = []
    tables: list[Path] = []
    for source in sources:
        if source.is_dir():
            inner = source / "annotations"
            folder = inner if inner.is_dir() else source
            found = sorted(path for path in folder.glob("*.txt") if not _is_about(path))
            if not found:
                raise AnnotationError(f"{source}: no file named annotations/CLASS.txt or CLASS.txt in this folder")
            text_files += found
            class_lists += [path for path in (source / CLASS_LIST,) if path.is_file()]
        elif not source.exists():
            raise MissingFileError(f"{source}: no such file")
        elif source.suffix == ".csv":
            tables.append(source)
        elif source.name == CLASS_LIST:
            class_lists.append(source)
        elif source.suffix == ".txt" and not _is_about(source):
            text_files.append(source)
        elif not _is_about(source):
            raise AnnotationError(f"{source}: expected CLASS.txt, {CLASS_LIST}, a folder of them, a .csv or a .json")
    return text_files, class_lists, tables


def _is_about(path: Path) -> bool:
    return path.name == CLASS_LIST or path.stem.lower() == "readme"


def _compare_classes(path: Path, manifest: Manifest | None, report: ConversionReport) -> None:
    """Note where a list of classes (`number name`, or `name`, a line) is not the manifest's."""
    listed = [line.split()[-1] for line in read_text(path).splitlines() if line.strip()]
    if manifest is not None and listed != manifest.classes:
        pairs = zip([*listed, "nothing"], [*manifest.classes, "nothing"], strict=False)
        place, (found, expected) = next((place, pair) for place, pair in enumerate(pairs, start=1) if len({*pair}) > 1)
        report.note(f"{path.name}: class {place} is {found}, {expected} in the manifest's order, which is used")
