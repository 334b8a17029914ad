"""EGTEA Gaze+: cooking seen by the cook, with verbs and nouns.

`action_labels.csv` (https://cbs.ic.gatech.edu/fpv, folder `raw_annotations` of `action_annotation.zip`) has a row for
each action, with semicolons between the columns `Block ID; Clip Prefix; Action; Verb; Noun; Start Time (ms); End Time
(ms); StartFrame; EndFrame`.

- The video is the session in `Clip Prefix`: `OP01-R01-PastaSalad`, also of `OP01-R01-PastaSalad-1002580-...-F024067`.
- Times are milliseconds in the session's video.
- `Action`, `Verb` and `Noun` are a class each of the vocabularies `action`, `verb` and `noun`, where not empty. A cell
  of several nouns is one class.
- Block numbers and frames are not kept.
- There are three divisions into splits, lists of clips: give the two files of one, `train_split1.txt` and
  `test_split1.txt`, lines `OP01-R01-PastaSalad-1002580-1004110-F024030-F024067 1 1 1`. The split of a video is that of
  most of its clips. In a folder they are not looked for, and all videos are in `train`.
- Durations are not stated: add a table `video,duration[,fps]`, or a video ends with its last action.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asl_kit.annotations.clip_splits import video_splits
from asl_kit.annotations.collector import ACTION, Collector, as_number, number_from_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_files
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions, read_rows
from asl_kit.annotations.text_lines import numbered_lines, read_text
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

VOCABULARIES = {ACTION: "Action", "verb": "Verb", "noun": "Noun"}
"""Column of each vocabulary."""
START, END, CLIP = "Start Time (ms)", "End Time (ms)", "Clip Prefix"
_CLIP = re.compile(r"(.+?)(?:-[0-9]+-[0-9]+-F[0-9]+-F[0-9]+)?")
_SPLIT = re.compile(r"(train|test)_split([0-9])\.txt", re.IGNORECASE)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert the table of actions."""
    files = find_files(sources, ["action_labels*.csv"], beside=["*.csv", "*_split*.txt"])
    lists = [path for path in files if path.suffix.lower() == ".txt"]
    actions = [
        path for path in files if path not in lists and CLIP.lower() in read_text(path).partition("\n")[0].lower()
    ]
    tables = [path for path in files if path not in {*lists, *actions}]
    if not actions:
        raise AnnotationError(f"{', '.join(map(str, files))}: expected a table with a column {CLIP!r}")
    collector = Collector(report, mend=True, manifest=manifest, duration_hint=DURATION_HINT)
    splits = video_splits(_read_splits(lists), report)
    for path in actions:
        for line, row in read_rows(path, required=(CLIP, *VOCABULARIES.values(), START, END), others=True):
            _collect(collector, row, f"{path}:{line}", splits)
    state_facts(collector, read_facts(collector, tables, table))
    return collector.finish(files, dataset="egtea")


def _read_splits(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield the video and the split of every clip."""
    divisions = {path: match for path in paths if (match := _SPLIT.fullmatch(path.name))}
    if len(divisions) < len(paths) or len({match[2] for match in divisions.values()}) > 1:
        names = " and ".join(map(str, paths))
        raise AnnotationError(f"{names}: expected train_splitN.txt and test_splitN.txt of one division into splits")
    for path, match in divisions.items():
        for number, line in numbered_lines(path, required="CLIP verb noun"):
            clip = _CLIP.fullmatch(line.split()[0])
            if clip is not None and clip[1] != clip[0]:
                yield clip[1], match[1].lower()
            else:
                raise AnnotationError(
                    f"{path}:{number}: expected a clip and the numbers of its classes, found {line!r:.60}"
                )


def _collect(collector: Collector, row: dict[str, str], where: str, splits: Mapping[str, str]) -> None:
    match = _CLIP.fullmatch(row[CLIP])
    labels = {vocabulary: row[column] for vocabulary, column in VOCABULARIES.items() if row[column]}
    if match is None or not labels:
        collector.error(where, f"expected a clip and an action, found {row[CLIP]!r:.60} and {labels}")
        return
    collector.video(match[1], where, split=splits.get(match[1]))
    start, end = (_seconds(row[column]) for column in (START, END))
    collector.segment(match[1], where, start=start, end=end, labels=labels)


def _seconds(text: str) -> object:
    """Return milliseconds as seconds, or the text if it holds no number."""
    number = as_number(number_from_text(text))
    return text if number is None else number / 1000
