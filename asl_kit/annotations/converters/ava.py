"""AVA actions: what each person does, at one moment of each second of movies.

The files (https://research.google.com/ava/download.html, `ava_v2.2.zip`; also AVA-Kinetics in the same layout):

- `ava_train_v2.2.csv`, `ava_val_v2.2.csv`: lines `video,timestamp,x1,y1,x2,y2,action,person` without a header: a time
  in seconds, a box, the number of an action, and the number of a person (not in version 1.0);
- `ava_action_list_v2.2.pbtxt`, or its other versions: names and numbers of the actions.

Give the files. How they are converted:

- A line is a point in time, and a segment needs a length: state it with `--point-window BEFORE[,AFTER]`. With
  `--point-window 0.5`, which is half the distance of two points, what a person does at consecutive points is one
  segment without gaps.
- Windows of one action and one person that touch or overlap are joined. `person` and `points`, the number of lines, are
  attributes of the segment. Boxes are not kept: several persons can have the same action at the same time.
- Lines without an action (only in AVA-Kinetics) state that the video was annotated.
- The label is the name of the action, or `action 12` without a list of actions. Splits are those of the files' names.
- AVA annotates minutes 15 to 30 of each movie. Durations are not stated: add a table `video,duration[,fps]` with its
  header, or a video ends with its last segment.
- Lists of timestamps, `ava_train_excluded_timestamps_v2.2.csv` and the like, are not read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector, as_number, number_from_text
from asl_kit.annotations.point_window import PointWindow, required
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_files, matches
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import numbered_lines, read_text
from asl_kit.annotations.video_facts import DURATION_HINT, VideoFacts, read_facts, state_facts
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_SPLITS = {"train": "train", "val": "val", "test": "test"}
"""Split by a part of the name of a file."""
_LENGTHS = (7, 8)
"""Cells of a line, without and with a person."""
_BLOCK = re.compile(r"(?:label|item)\s*\{([^{}]*)\}")
_NAME = re.compile(r'\bname:\s*"([^"]+)"')
_NUMBER = re.compile(r"\b(?:label_)?id:\s*([0-9]{1,4})")
_TOUCH_S = 1e-6
"""Windows that are nearer than this touch: sums of times are not exact."""

Track = tuple[str, str, str]
"""A video, an action and a person."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    point_window: PointWindow | None = None,
) -> AnnotationSet:
    """Convert tables of actions at moments."""
    found = find_files(sources, ["ava*.csv", "*action_list*.pbtxt*"], beside=["*.csv", "*.pbtxt", "*.txt"])
    files = [path for path in found if not matches(path, ["ava_*timestamps*"])]
    lists = [path for path in files if path.suffix.lower() != ".csv"]
    tables = [path for path in files if path not in lists and _has_header(path)]
    points = [path for path in files if path not in {*lists, *tables}]
    if not points:
        raise AnnotationError(f"{', '.join(map(str, found))}: no table of actions, video,timestamp,x1,...")
    window = required(point_window, "AVA's actions")
    names = {number: name for path in lists for number, name in _read_actions(path)}
    collector = Collector(report, mend=True, manifest=manifest, duration_hint=DURATION_HINT)
    facts = read_facts(collector, tables, table)
    tracks: dict[Track, list[tuple[float, str]]] = {}
    for path in points:
        _collect(collector, path, tracks)
    joined = 0
    numbers: set[int] = set()
    for (video_id, action, person), track in tracks.items():
        numbers.add(int(action))
        for start, end, count, where in _join(track, window, facts.get(video_id)):
            joined += count - 1
            collector.segment(
                video_id,
                where,
                start=start,
                end=end,
                labels={ACTION: names.get(int(action), f"action {action}")},
                attributes={"points": count} | ({"person": person} if person else {}),
            )
    report.note(
        f"actions are points in time: windows of {window.before_s:g} s before to {window.after_s:g} s after them;"
        f" {joined} were joined with the one before, of the same person and action"
    )
    state_facts(collector, facts)
    classes = list(dict.fromkeys(names.get(number, f"action {number}") for number in sorted({*names, *numbers})))
    return collector.finish(files, dataset="ava", vocabularies=None if manifest else {ACTION: classes})


def _has_header(path: Path) -> bool:
    """Return whether a table is one of durations, whose first line names its columns."""
    cells = read_text(path).partition("\n")[0].split(",")
    return len(cells) not in _LENGTHS


def _read_actions(path: Path) -> Iterator[tuple[int, str]]:
    blocks = _BLOCK.findall(read_text(path))
    for block in blocks:
        name, number = _NAME.search(block), _NUMBER.search(block)
        if name is None or number is None:
            raise AnnotationError(f"{path}: expected a name and a number in each block, found {block.strip()!r:.60}")
        yield int(number[1]), name[1]
    if not blocks:
        raise AnnotationError(f'{path}: expected blocks `label {{ name: "..." label_id: 1 }}`')


def _collect(collector: Collector, path: Path, tracks: dict[Track, list[tuple[float, str]]]) -> None:
    """Record the videos of a table, and add its points to their tracks."""
    parts = re.split(r"[_.]", path.stem.lower())
    split = next((_SPLITS[part] for part in parts if part in _SPLITS), None)
    for number, line in numbered_lines(path, required="video,timestamp,x1,y1,x2,y2,action,person"):
        where = f"{path}:{number}"
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        if len(cells) not in _LENGTHS or not cells[0]:
            text = "expected `video,timestamp,x1,y1,x2,y2,action[,person]`"
            collector.error(where, f"{text}, found {line!r:.80}")
            continue
        video_id, time, action = cells[0], as_number(number_from_text(cells[1])), cells[6]
        collector.video(video_id, str(path), split=split, annotated=True)
        if not action and len(cells) == max(_LENGTHS):
            continue
        if time is None or not re.fullmatch("[0-9]{1,4}", action):
            collector.error(where, f"expected a time and an action, found {line!r:.80}", video_id=video_id)
            continue
        person = cells[7] if len(cells) == max(_LENGTHS) else ""
        tracks.setdefault((video_id, str(int(action)), person), []).append((time, where))


def _join(
    track: Sequence[tuple[float, str]], window: PointWindow, fact: VideoFacts | None
) -> Iterator[tuple[float, float, int, str]]:
    """Yield start, end, number of points and first line of the windows that do not touch."""
    current: tuple[float, float, int, str] | None = None
    for time, where in sorted(track):
        start, end = window.around(time, fact.duration_s if fact else None)
        if current is not None and start <= current[1] + _TOUCH_S:
            current = (current[0], max(end, current[1]), current[2] + 1, current[3])
            continue
        if current is not None:
            yield current
        current = (start, end, 1, where)
    if current is not None:
        yield current
