"""MultiTHUMOS: dense annotations of 65 classes in the videos of THUMOS14.

`multithumos.zip` (http://ai.stanford.edu/~syyeung/everymoment.html) unpacks to a folder with a
README, `class_list.txt` (lines `number name`, from 1) and `annotations/`: one text
file for each class, `BaseballPitch.txt`, with lines `video start end` in seconds for both splits;
the name of a video states its split. Give the unpacked folder, its `annotations`, or text files of classes.

The text files state neither durations nor frame rates: add a CSV file `video,duration[,fps]` to
the sources to state them; without it a video ends with its last segment, and the report says so once.

JSON: OpenTAD's `multithumos_anno.json` (`asl_kit.annotations.converters.activitynet_json`), in which the test
videos are called `validation`, and `multithumos.json` with class numbers from 1
(`asl_kit.annotations.converters.actions_json`). There, too, the names of the videos state the splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.converters.actions_json import read_json_database
from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.converters.thumos_text import collect_instances, with_splits_by_name
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_files, matches
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import numbered_lines
from asl_kit.annotations.video_facts import read_facts, refuse_unused, state_facts
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

NAME = "multithumos"
ABOUT = ("readme*",)
CLASS_LIST = "class_list.txt"


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert the text files, or a JSON file, of MultiTHUMOS."""
    if any(path.suffix == ".json" for path in sources):
        refuse_unused(table, [])
        read = partial(_read_json, classes=manifest.classes if manifest else ())
        return convert_published(sources, dataset=NAME, manifest=manifest, report=report, read=read)
    files = [path for path in find_files(sources, ["*.txt"], beside=["*.csv", "readme"]) if not matches(path, ABOUT)]
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    class_lists = [path for path in files if path.name == CLASS_LIST]
    text_files = [path for path in files if path not in (*tables, *class_lists)]
    if not text_files:
        raise AnnotationError(f"{', '.join(map(str, sources))}: no file named CLASS.txt")
    collector = Collector(report, mend=True, manifest=manifest)
    for path in text_files:
        collect_instances(collector, path, labels={ACTION: path.stem})
    for path in class_lists:
        _compare_classes(path, manifest, report)
    state_facts(collector, read_facts(collector, tables, table))
    return collector.finish(files, dataset=NAME)


def _read_json(path: Path, *, classes: Sequence[str]) -> dict[str, Any]:
    return with_splits_by_name(read_json_database(path, classes=classes, first_number=1))


def _compare_classes(path: Path, manifest: Manifest | None, report: ConversionReport) -> None:
    """Note the first place where a list of classes (lines `number name` or `name`) differs from the manifest."""
    listed = [line.split()[-1] for _, line in numbered_lines(path)]
    if manifest is not None and listed != manifest.classes:
        pairs = zip([*listed, "nothing"], [*manifest.classes, "nothing"], strict=False)
        place, (found, expected) = next((place, pair) for place, pair in enumerate(pairs, start=1) if len({*pair}) > 1)
        report.note(f"{path.name}: class {place} is {found}, {expected} in the manifest's order, which is used")
