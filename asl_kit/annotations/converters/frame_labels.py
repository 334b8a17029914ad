"""One label for each frame, as text: Breakfast, 50 Salads, GTEA, and own data in their layout.

The layout in which work on temporal action segmentation passes these datasets on (`data.zip` of
https://github.com/yabufarha/ms-tcn; seen in the readers of many repositories):

- `groundTruth/NAME.txt`: the label of every frame of the video NAME, one a line;
- `mapping.txt`: lines `0 SIL`, the classes in their order;
- `splits/train.split1.bundle`, `splits/test.split1.bundle`: the text files of each split, one a line. There are
  several divisions: give the two files of one.

Give the text files or their folder, and any of the others. How they are converted:

- A segment is a run of equal labels: frames [i, j) are the time from i / fps to j / fps. The frame rate is not in the
  files: state it (`--fps 15` for Breakfast and GTEA, `--fps 30` for 50 Salads), or add a table `video,fps[,duration]`.
- `SIL`, `background`, `action_start` and `action_end` (before the first and after the last action in 50 Salads) are
  no actions; the report counts their runs.
- Lines `1-30 SIL`, as in Breakfast's own text files, are runs: first and last frame, counted from 1.
- The classes are those of `mapping.txt`, in its order; without it, those of the files, sorted.
- Videos without a bundle are in `train`. A video ends with its last line, unless the table states its duration.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.named_tables import Layout
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources, matches
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import numbered_lines, read_text
from asl_kit.annotations.video_facts import VideoFacts, read_facts
from asl_kit.errors import AnnotationError, UsageError
from asl_kit.manifests.schema import Manifest

BACKGROUND = ("SIL", "background", "action_start", "action_end")
"""Labels of frames without an action."""

_FACTS = Layout(required=("video", "fps"), optional=("duration",), others=False)
_FPS_HINT = "State it: --fps 15 for Breakfast and GTEA, --fps 30 for 50 Salads; or add a table video,fps (a .csv file)."
_RUN = re.compile(r"([0-9]{1,9})-([0-9]{1,9})\s+(\S.*)")
_BUNDLE = re.compile(r"(train|val|test)\.?(.*)\.bundle", re.IGNORECASE)
_CLASS = re.compile(r"([0-9]{1,9})[ \t]+(\S.*)")
_MAX_RUNS = 0.5
"""Largest number of runs for each line of a file of more than `_FEW_LINES` lines: more are no labels of frames."""
_FEW_LINES = 20

Run = tuple[int, int, str]
"""Frames [first, last), and their label."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    fps: float | None = None,
) -> AnnotationSet:
    """Convert text files with a label for each frame."""
    files, tables = find_sources(sources, ["*.txt", "*.bundle"])
    bundles = [path for path in files if path.suffix.lower() == ".bundle"]
    mappings = [path for path in files if matches(path, ["mapping*.txt"])]
    texts = [path for path in files if path not in {*bundles, *mappings}]
    if not texts:
        raise AnnotationError(f"{', '.join(map(str, files))}: no text file with a label for each frame")
    collector = Collector(report, mend=False, manifest=manifest)
    facts = read_facts(collector, tables, table, layout=_FACTS)
    classes = _read_mapping(mappings)
    splits = _read_bundles(bundles)
    background = Counter[str]()
    for path in texts:
        if path.stem in collector:
            collector.error(str(path), "a second file of this video", video_id=path.stem)
            continue
        fact = facts.get(path.stem, VideoFacts(str(path), None, None))
        rate = fact.fps or fps
        if rate is None:
            raise UsageError(f"{path}: the frame rate is not known", hint=_FPS_HINT)
        runs = list(_runs(path))
        frames = runs[-1][1]
        collector.video(
            path.stem,
            str(path),
            split=splits.get(path.stem),
            duration=fact.duration_s or frames / rate,
            fps=rate,
            frames=None if fact.duration_s else frames,
            annotated=True,
        )
        for start, end, label in runs:
            if label in BACKGROUND:
                background[label] += 1
                continue
            where = f"{path}: frames {start} to {end - 1}"
            collector.segment(path.stem, where, start=start / rate, end=end / rate, labels={ACTION: label})
    for label, count in background.items():
        report.note(f"{count} runs of {label!r} are background, not segments")
    if splits and not any(name in collector for name in splits):
        raise AnnotationError(
            f"{bundles[0]}: names none of the {len(texts)} text files: expected lines such as {texts[0].name}, found"
            f" {next(iter(splits))!r:.60}"
        )
    for what, names in (("tables", facts), ("bundles", splits)):
        if absent := [name for name in names if name not in collector]:
            report.note(f"{len(absent)} videos of the {what} have no text file, such as {absent[0]!r}")
    vocabularies = None
    if classes and manifest is None:
        vocabularies = {ACTION: [label for label in classes if label not in BACKGROUND]}
    return collector.finish(
        [*files, *tables],
        dataset=dataset_name(sources, "frame-labels"),
        converter="frame-labels",
        vocabularies=vocabularies,
    )


def _read_mapping(paths: Sequence[Path]) -> list[str]:
    """Return the classes in the order of their numbers; none without a file."""
    if len(paths) > 1:
        raise AnnotationError(f"{paths[1]}: a second list of classes, beside {paths[0]}", hint="Give one of them.")
    classes: dict[int, str] = {}
    for path in paths:
        for number, line in numbered_lines(path, required="0 class"):
            match = _CLASS.fullmatch(line)
            if match is None:
                raise AnnotationError(f"{path}:{number}: expected `number class`, found {line!r:.60}")
            if int(match[1]) in classes or match[2] in classes.values():
                raise AnnotationError(f"{path}:{number}: {line!r:.60}: the number or the class is there already")
            classes[int(match[1])] = match[2]
    return [classes[number] for number in sorted(classes)]


def _read_bundles(paths: Sequence[Path]) -> dict[str, str]:
    """Return the split of each video."""
    splits: dict[str, str] = {}
    divisions: dict[str, Path] = {}
    for path in paths:
        match = _BUNDLE.fullmatch(path.name)
        if match is None:
            raise AnnotationError(f"{path}: expected a name like train.split1.bundle or test.split1.bundle")
        divisions.setdefault(match[2], path)
        for _, name in numbered_lines(path, required="NAME.txt"):
            video_id = name.replace("\\", "/").rpartition("/")[2].removesuffix(".txt")
            if splits.setdefault(video_id, match[1].lower()) != match[1].lower():
                raise AnnotationError(f"{path}: {video_id!r} is in {splits[video_id]!r} already")
    if len(divisions) > 1:
        names = " and ".join(map(str, divisions.values()))
        raise AnnotationError(f"{names} belong to several divisions", hint="Give the files of one division.")
    return splits


def _runs(path: Path) -> Iterator[Run]:
    """Yield the runs of equal labels of a file."""
    lines = [line.strip() for line in read_text(path).rstrip().split("\n")]
    if not any(lines):
        raise AnnotationError(f"{path}: empty; expected the label of every frame, one a line")
    if "" in lines:
        raise AnnotationError(f"{path}:{lines.index('') + 1}: no label; expected the label of every frame, one a line")
    stated = [match for line in lines if (match := _RUN.fullmatch(line)) is not None]
    if len(stated) == len(lines):
        yield from _stated_runs(path, stated)
        return
    runs = [(label, len(list(group))) for label, group in groupby(lines)]
    if len(lines) > _FEW_LINES and len(runs) > _MAX_RUNS * len(lines):
        raise AnnotationError(
            f"{path}: {len(runs)} of {len(lines)} lines differ from the line before: expected the label of every frame",
            hint=f"Its first line is {lines[0]!r:.60}. Other text files must not be among the sources.",
        )
    first = 0
    for label, count in runs:
        yield first, first + count, label
        first += count


def _stated_runs(path: Path, lines: Sequence[re.Match[str]]) -> Iterator[Run]:
    """Yield the runs of a file that states the first and the last frame of each."""
    expected = 1
    for number, match in enumerate(lines, start=1):
        first, last = int(match[1]), int(match[2])
        if first != expected or last < first:
            raise AnnotationError(f"{path}:{number}: expected frames from {expected} on, found {match[0]!r:.60}")
        yield first - 1, last, match[3]
        expected = last + 1
