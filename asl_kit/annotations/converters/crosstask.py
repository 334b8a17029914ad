"""CrossTask: the steps of 18 primary tasks in instructional videos.

`crosstask_release.zip` (https://github.com/DmZhukov/CrossTask):

- `annotations/TASK_VIDEO.csv`: lines `step,start,end` without a header: the number of the step in its task, from 1,
  and times in seconds;
- `tasks_primary.txt`: for each task the lines number, name, address, number of steps, and the steps between commas,
  then a blank line; `tasks_related.txt`, of tasks without annotations, is not read;
- `videos.csv` and `videos_val.csv`: lines `task,video,address` without a header; the latter are the split `val`, all
  others `train`.

Give the folder, or the files. The label of a segment is the text of the step, which several tasks can share; its
attribute `task` is the name of the task. Classes are in the order of the tasks and steps. A file without lines is a
video without steps. Videos of the lists that are not annotated are counted in the report and left out. The files do
not state how long a video is: add a table `video,duration[,fps]`, or it ends with its last step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector, number_from_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_files, matches
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import numbered_lines
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

TASKS = "tasks_primary.txt"
LISTS = {"videos.csv": "train", "videos_val.csv": "val"}
"""Split by the name of a list of videos."""
_ANNOTATIONS = re.compile(r"([0-9]+)_(.+)\.csv", re.IGNORECASE)
_TASK_LINES = 5

Tasks = dict[str, tuple[str, list[str]]]
"""Name and steps of a task, by its number."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert the files of CrossTask."""
    files = find_files(sources, ["*_*.csv", "videos.csv", TASKS], beside=["*.csv", "tasks_related.txt"])
    task_lists = [path for path in files if path.name == TASKS]
    lists = [path for path in files if path.name in LISTS]
    annotations = [path for path in files if _ANNOTATIONS.fullmatch(path.name)]
    tables = [path for path in files if matches(path, ["*.csv"]) and path not in {*lists, *annotations}]
    if len(task_lists) != 1 or not annotations:
        expected = f"expected one {TASKS} and files TASK_VIDEO.csv of annotations"
        raise AnnotationError(
            f"{', '.join(map(str, sources))}: {expected}, found {len(task_lists)} and {len(annotations)}"
        )
    collector = Collector(report, mend=True, manifest=manifest, duration_hint=DURATION_HINT)
    tasks = _read_tasks(task_lists[0])
    splits = _read_lists(collector, lists)
    for path in annotations:
        _collect(collector, path, tasks, splits)
    if absent := [video_id for video_id in splits if video_id not in collector]:
        report.note(f"{len(absent)} videos of the lists are not annotated, and left out, such as {absent[0]!r}")
    state_facts(collector, read_facts(collector, tables, table))
    steps = dict.fromkeys(step for _, steps in tasks.values() for step in steps)
    read = [*task_lists, *lists, *annotations, *tables]
    return collector.finish(read, dataset="crosstask", vocabularies=None if manifest else {ACTION: list(steps)})


def _read_tasks(path: Path) -> Tasks:
    numbered = list(numbered_lines(path))
    tasks: Tasks = {}
    for at in range(0, len(numbered), _TASK_LINES):
        block = numbered[at : at + _TASK_LINES]
        first, task = block[0]
        steps = [step.strip() for step in block[-1][1].split(",")]
        is_sound = len(block) == _TASK_LINES and task.isdecimal() and block[3][1] == str(len(steps)) and all(steps)
        if not is_sound or task in tasks:
            text = f"{path}:{first}: expected the number of a task, its name, address, number of steps, and the steps"
            raise AnnotationError(f"{text} between commas, found {task!r:.60}")
        tasks[task] = (block[1][1], steps)
    return tasks


def _read_lists(collector: Collector, paths: Sequence[Path]) -> dict[str, str]:
    """Return the split of each video of the lists."""
    splits: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: path.name):  # those of videos_val.csv may be in videos.csv too
        for number, line in numbered_lines(path, required="task,video,address"):
            cells = line.split(",")
            if len(cells) == 3 and cells[1]:
                splits[cells[1]] = LISTS[path.name]
            else:
                collector.error(f"{path}:{number}", f"expected `task,video,address`, found {line!r:.60}")
    return splits


def _collect(collector: Collector, path: Path, tasks: Tasks, splits: dict[str, str]) -> None:
    match = _ANNOTATIONS.fullmatch(path.name)
    task, video_id = match.groups() if match else ("", path.stem)
    if task not in tasks:
        collector.error(str(path), f"task {task!r}: not in {TASKS}", video_id=video_id)
        return
    name, steps = tasks[task]
    numbered = {str(number): step for number, step in enumerate(steps, start=1)}
    collector.video(video_id, str(path), split=splits.get(video_id), annotated=True)
    for number, line in numbered_lines(path):
        where, cells = f"{path}:{number}", [cell.strip() for cell in line.split(",")]
        step = numbered.get(cells[0])
        if len(cells) != 3 or step is None:
            text = f"expected `step,start,end` with a step from 1 to {len(steps)}, found {line!r:.60}"
            collector.error(where, text, video_id=video_id)
            continue
        collector.segment(
            video_id,
            where,
            start=number_from_text(cells[1]),
            end=number_from_text(cells[2]),
            labels={ACTION: step},
            attributes={"task": name},
        )
