"""Charades: 157 classes of daily activities at home, often several at a time.

`Charades.zip` (https://prior.allenai.org/projects/charades) contains, among other files:

- `Charades_v1_train.csv` and `Charades_v1_test.csv`, one row per video, with the columns
  `id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length`; `actions` is
  `c092 11.90 21.20;c147 0.00 12.60`, class code and times in seconds, or empty; `length`
  is in seconds. `subject` (the person) and `scene` become attributes of the video;
- `Charades_v1_classes.txt`, with lines `c008 Opening a door`: compared with the manifest, if given.

Give the files, or their folder. Labels are the names of the classes, in the order of their codes.
Actions that end before they start are dropped, and actions that end after the video are clipped.

JSON: OpenTAD's `charades.json` (`asl_kit.annotations.converters.activitynet_json`), and `charades.json` with
class numbers from 0 (`asl_kit.annotations.converters.actions_json`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector, number_from_text
from asl_kit.annotations.converters.actions_json import read_json_database
from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_files
from asl_kit.annotations.tables import read_rows
from asl_kit.annotations.text_lines import numbered_lines
from asl_kit.manifests.schema import Manifest

NAME = "charades"
SPLITS = {"Charades_v1_train": "train", "Charades_v1_test": "test"}
"""Split by the name of a table without `.csv`."""
CLASS_LIST = "Charades_v1_classes.txt"
ATTRIBUTES = ("subject", "scene")
"""Columns that are kept as attributes of the video."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the tables, or a JSON file, of Charades."""
    if any(path.suffix == ".json" for path in sources):
        read = partial(read_json_database, classes=manifest.classes if manifest else (), first_number=0)
        return convert_published(sources, dataset=NAME, manifest=manifest, report=report, read=read)
    files = find_files(sources, [*(f"{name}.csv" for name in SPLITS), CLASS_LIST])
    class_lists = [path for path in files if path.suffix == ".txt"]
    tables = [path for path in files if path not in class_lists]
    listed = {code: name for path in class_lists for code, name in _read_classes(path)}
    names = {f"c{number:03}": name for number, name in enumerate(manifest.classes)} if manifest else listed
    if class_lists and listed != names:
        codes = [code for code in {**names, **listed} if names.get(code) != listed.get(code)]
        report.note(
            f"{CLASS_LIST}: {len(codes)} classes differ from the manifest's names, which are used: {codes[0]} is "
            f"{listed.get(codes[0])!r}, {names.get(codes[0])!r} in the manifest"
        )
    collector = Collector(report, mend=True, manifest=manifest)
    report.note(f"of the columns that describe a video, {' and '.join(ATTRIBUTES)} are kept, no others")
    for path in tables:
        for line, row in read_rows(path, required=("id", "actions", "length"), optional=ATTRIBUTES, others=True):
            _collect_video(collector, row, f"{path}:{line}", split=SPLITS[path.stem], names=names)
    return collector.finish(files, dataset=NAME)


def _read_classes(path: Path) -> list[tuple[str, str]]:
    """Read lines `code name`."""
    return [(code, name) for code, _, name in (line.partition(" ") for _, line in numbered_lines(path))]


def _collect_video(collector: Collector, row: dict[str, str], where: str, *, split: str, names: dict[str, str]) -> None:
    video_id = row["id"]
    if not video_id:
        collector.error(where, "id: must be the name of a video, found ''")
        return
    if video_id in collector:
        collector.error(where, "id: the video has a row already", video_id=video_id)
        return
    duration_s = collector.positive(where, "length", row["length"], video_id=video_id)
    attributes = {name: row[name] for name in ATTRIBUTES if row.get(name)}
    collector.video(video_id, where, split=split, duration=duration_s, attributes=attributes, annotated=True)
    for number, action in enumerate(text for text in row["actions"].split(";") if text.strip()):
        cells = action.split()
        if len(cells) != 3:
            text = f"actions.{number}: expected `class start end`, found {action!r}"
            collector.error(where, text, video_id=video_id)
            continue
        code, start, end = cells
        collector.segment(
            video_id,
            where,
            start=number_from_text(start),
            end=number_from_text(end),
            labels={ACTION: names.get(code, code)},
            prefix=f"actions.{number}.",
        )
