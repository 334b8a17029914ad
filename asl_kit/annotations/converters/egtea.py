"""EGTEA Gaze+: cooking seen by the cook, with verbs and nouns.

`action_labels.csv` (https://cbs.ic.gatech.edu/fpv, folder `raw_annotations` of `action_annotation.zip`) has a row for
each action, with semicolons between the columns `Block ID; Clip Prefix; Action; Verb; Noun; Start Time (ms); End Time
(ms); StartFrame; EndFrame`.

- The video is the session in `Clip Prefix`: `OP01-R01-PastaSalad`, also of `OP01-R01-PastaSalad-1002580-...-F024067`.
- Times are milliseconds in the session's video.
- `Action`, `Verb` and `Noun` are a class each of the vocabularies `action`, `verb` and `noun`, where not empty. A cell
  of several nouns is one class.
- Block numbers and frames are not kept. The published splits are lists of clips, and not read: all videos are in
  `train`.
- Durations are not stated: add a table `video,duration[,fps]`, or a video ends with its last action.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector, as_number, number_from_text, read_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_files
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions, read_rows
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

VOCABULARIES = {ACTION: "Action", "verb": "Verb", "noun": "Noun"}
"""Column of each vocabulary."""
START, END, CLIP = "Start Time (ms)", "End Time (ms)", "Clip Prefix"
_CLIP = re.compile(r"(.+?)(?:-[0-9]+-[0-9]+-F[0-9]+-F[0-9]+)?")


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert the table of actions."""
    files = find_files(sources, ["action_labels*.csv"], beside=["*.csv"])
    tables = [path for path in files if CLIP.lower() not in read_text(path).partition("\n")[0].lower()]
    actions = [path for path in files if path not in tables]
    if not actions:
        raise AnnotationError(f"{', '.join(map(str, files))}: expected a table with a column {CLIP!r}")
    collector = Collector(report, mend=True, manifest=manifest, duration_hint=DURATION_HINT)
    for path in actions:
        for line, row in read_rows(path, required=(CLIP, *VOCABULARIES.values(), START, END), others=True):
            _collect(collector, row, f"{path}:{line}")
    state_facts(collector, read_facts(collector, tables, table))
    return collector.finish(files, dataset="egtea")


def _collect(collector: Collector, row: dict[str, str], where: str) -> None:
    match = _CLIP.fullmatch(row[CLIP])
    labels = {vocabulary: row[column] for vocabulary, column in VOCABULARIES.items() if row[column]}
    if match is None or not labels:
        collector.error(where, f"expected a clip and an action, found {row[CLIP]!r:.60} and {labels}")
        return
    collector.video(match[1], where)
    start, end = (_seconds(row[column]) for column in (START, END))
    collector.segment(match[1], where, start=start, end=end, labels=labels)


def _seconds(text: str) -> object:
    """Return milliseconds as seconds, or the text if it holds no number."""
    number = as_number(number_from_text(text))
    return text if number is None else number / 1000
