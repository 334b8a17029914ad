"""Annotations made with CVAT: its exports "CVAT for video 1.1", and the tags of "CVAT for images 1.1" (XML).

The layout (https://docs.cvat.ai/docs/manual/advanced/xml_format; read in github.com/cvat-ai/cvat,
cvat/apps/dataset_manager/formats/cvat.py): `meta` describes a task or job, or the tasks of a project: `id`, `source`
(the video's file), `start_frame`, `stop_frame` and `frame_filter` (`step=3`: every third frame was annotated). Each
`track` has a `label` and lists its shapes frame by frame: `frame`, counted from 0 in the video itself, and `outside`, 1
where the object is not to be seen; a `skeleton` has none, but its points do. An `image` is a frame (`id`) with its
`tag`s and shapes. Both have `attribute`s. CVAT exports a ZIP archive with the file `annotations.xml`.

How it is converted:

- A video's id is the name of its `source` without suffix, or the name of the task if there is none.
- A track is a segment from each frame in which it appears to the first one in which it is `outside`, or to the end of
  the last frame that it lists: frame f of a task with step s is the time [f / rate, (f + s) / rate), up to
  the end of the video if its duration is stated.
- A tag that frames carry without a gap is one segment over them. Shapes of an image are excluded and reported.
- The rate is the video's own, in frames per second. CVAT does not state it: a table `video,duration,fps` among the
  sources does (`asl_kit.annotations.video_facts`), or `--fps` for all videos that are not in one. Otherwise the video
  is refused.
- The label is the class, in the vocabulary "action". `track` (its number) and attributes that have one value in
  the whole segment are attributes of the segment.
- A tier is a label, or an attribute of a label, `person.pose`: its value is then the class, and a segment ends where it
  changes. If tiers are chosen (`asl_kit.annotations.tiers`), tracks and tags of other labels are left out and reported,
  and so are stretches in which the attribute is empty.
- A track that is nowhere visible is excluded and reported. A document without tracks and tags is a video without
  action.

A document type declaration, and with it every entity, is refused: CVAT does not write them.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from asl_kit.annotations.archives import read_file
from asl_kit.annotations.collector import Collector
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.tiers import ALL_TIERS, TierChoice, TierOptions
from asl_kit.annotations.video_facts import DURATION_HINT, VideoFacts, read_facts, state_facts
from asl_kit.annotations.video_names import id_from
from asl_kit.annotations.xml_files import read_xml
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_MAX_DIGITS = 9
"""Largest number of digits of the number of a frame: a year."""
_EXPORTED = "annotations.xml"
"""The file in the archives that CVAT exports."""
_STEP = re.compile(r"step=([1-9][0-9]{0,5})")
_RATE_HINT = (
    "frames per second: not stated; give the video's rate with --fps, or in a table video,duration,fps (a .csv file"
    " among the sources)"
)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    fps: float | None = None,
) -> AnnotationSet:
    """Convert .xml files, or folders of them, and the .zip files in which CVAT exports them."""
    files, tables = find_sources(sources, ["*.xml"], beside=["*.zip"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT)
    facts = read_facts(collector, tables, table)
    choice = TierChoice(tiers, collector)
    for path in files:
        _Document(path, collector, choice, facts, fps).collect()
    choice.check()
    state_facts(collector, facts)
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "cvat"), converter="cvat")


@dataclass(frozen=True, slots=True)
class _Task:
    """A video as it was annotated: every `step`-th frame."""

    video_id: str
    step: int
    rate: float | None
    """Frames per second; None: not stated, which is recorded as an error."""
    duration_s: float | None

    def end_of(self, frame: int) -> float:
        """Return the frame with which an annotated frame ends: the next annotated one, but not after the video."""
        if self.duration_s is None or self.rate is None:
            return frame + self.step
        return min(frame + self.step, max(frame + 1, self.duration_s * self.rate))


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame that carries a track or a tag."""

    number: int
    values: Mapping[str, str]
    """Values of its attributes, by name."""


class _Document:
    """One file while it is collected."""

    def __init__(
        self,
        path: Path,
        collector: Collector,
        choice: TierChoice,
        facts: Mapping[str, VideoFacts],
        fps: float | None,
    ) -> None:
        self._path = path
        self._collector = collector
        self._choice = choice
        self._facts = facts
        self._fps = fps
        data = read_file(path, _EXPORTED, what=f"an export of CVAT with {_EXPORTED}") if _is_archive(path) else None
        self._root = read_xml(path, "annotations", tool="CVAT", data=data)
        self._tasks = self._find_tasks()

    def collect(self) -> None:
        """Pass all videos and segments to the collector."""
        for task in self._tasks.values():
            self._collector.video(task.video_id, str(self._path), fps=task.rate, annotated=True)
        for number, track in enumerate(self._root.iterfind("track")):
            track_id = track.get("id", str(number))
            self._collect_track(track, track_id, f"{self._path}: track {track_id!r}")
        self._collect_images()

    def _find_tasks(self) -> dict[str, _Task]:
        """Return the tasks by their ids."""
        meta = self._root.find("meta")
        described = [] if meta is None else [*meta.iterfind("task"), *meta.iterfind("job")]
        described += [] if meta is None else meta.iterfind("project/tasks/task")
        if meta is None or not described:
            raise AnnotationError(f"{self._path}: not an export of CVAT: expected a task, job or project in <meta>")
        tasks: dict[str, _Task] = {}
        for element in described:
            task_id = (element.findtext("id") or "").strip()
            source = element.findtext("source") or (meta.findtext("source") if len(described) == 1 else "") or ""
            video_id = id_from(source.strip()) or (element.findtext("name") or "").strip()
            if not video_id:
                raise AnnotationError(f"{self._path}: task {task_id!r}: expected the name of its video in <source>")
            if task_id in tasks:
                raise AnnotationError(f"{self._path}: two tasks have the id {task_id!r}")
            chosen = (element.findtext("frame_filter") or "").strip()
            step = _STEP.fullmatch(chosen)
            if chosen and step is None:
                text = f"frame_filter: must be step=N, found {chosen!r:.40}"
                self._collector.error(f"{self._path}: task {task_id!r}", text, video_id=video_id)
            fact = self._facts.get(video_id)
            rate = (fact and fact.fps) or self._fps
            if rate is None:
                self._collector.error(f"{self._path}: task {task_id!r}", _RATE_HINT, video_id=video_id)
            tasks[task_id] = _Task(video_id, int(step[1]) if step else 1, rate, fact.duration_s if fact else None)
        return tasks

    def _task(self, element: ElementTree.Element, where: str) -> _Task:
        """Return the task of a track or an image."""
        if len(self._tasks) == 1:
            return next(iter(self._tasks.values()))
        task = self._tasks.get(element.get("task_id", ""))
        if task is None:
            raise AnnotationError(
                f"{where}: task_id: must be one of {', '.join(self._tasks)}, found {element.get('task_id')!r:.40}"
            )
        return task

    def _collect_track(self, track: ElementTree.Element, track_id: str, where: str) -> None:
        task, label = self._task(track, where), track.get("label", "")
        frames: list[_Frame | None] = []
        numbers: list[int] = []
        for shape in track:
            number = _number(shape.get("frame"))
            outside = _outside(shape)
            if number is None or outside not in ("0", "1") or (numbers and number <= numbers[-1]):
                text = f"must have a frame above the one before, and outside=0 or 1, found {shape.attrib!r:.90}"
                self._collector.error(f"{where}: {shape.tag[:40]}", text, video_id=task.video_id)
                return
            numbers.append(number)
            frames.append(_Frame(number, _values(shape)) if outside == "0" else None)
        last = task.end_of(numbers[-1]) if numbers else 0
        seen = 0
        for is_visible, group in groupby(range(len(frames)), key=lambda place: frames[place] is not None):
            places = list(group)
            if is_visible:
                end = numbers[places[-1] + 1] if places[-1] + 1 < len(frames) else last
                run = [frame for place in places if (frame := frames[place]) is not None]
                self._collect_run(task, where, label, run, end, {"track": track_id})
                seen += 1
        if not seen:
            self._choice.found(label)
            self._collector.exclude(task.video_id, where, "a track that is visible in no frame")

    def _collect_images(self) -> None:
        carried: dict[tuple[str, str], list[_Frame]] = {}
        tasks = {}
        for image in self._root.iterfind("image"):
            where = f"{self._path}: image {image.get('id')!r:.40}"
            task, number = self._task(image, where), _number(image.get("id"))
            if number is None:
                self._collector.error(where, "id: must be the number of a frame", video_id=task.video_id)
                continue
            tasks[task.video_id] = task
            for element in image:
                if element.tag == "tag":
                    frame = _Frame(number, _values(element))
                    carried.setdefault((task.video_id, element.get("label", "")), []).append(frame)
                else:
                    self._collector.exclude(task.video_id, where, f"a shape ({element.tag[:40]}) in a single image")
        for (video_id, label), frames in carried.items():
            task = tasks[video_id]
            for run in _without_gaps(frames, task.step):
                where = f"{self._path}: image '{run[0].number}'"
                self._collect_run(task, where, label, run, task.end_of(run[-1].number), {})

    def _collect_run(
        self, task: _Task, where: str, label: str, run: Sequence[_Frame], end: float, attributes: dict[str, str]
    ) -> None:
        """Collect frames without a gap, up to the frame `end`: a segment for each tier that is to be converted."""
        names = {name: None for frame in run for name in frame.values}
        vocabulary = self._choice.found(label)
        by_attribute = {name: self._choice.found(f"{label}.{name}") for name in names} if self._choice else {}
        chosen = [(name, found) for name, found in by_attribute.items() if found is not None]
        if vocabulary is None and not chosen:
            self._collector.exclude(task.video_id, where, f"on {label!r}, not among the chosen tiers")
        if vocabulary is not None:
            self._segment(task, where, (run, end), {vocabulary: label}, attributes)
        for name, of_attribute in chosen:
            parts = [list(part) for _, part in groupby(run, key=lambda frame: frame.values.get(name, ""))]
            ends = [*(part[0].number for part in parts[1:]), end]
            for part, part_end in zip(parts, ends, strict=True):
                value = part[0].values.get(name, "")
                if value:
                    self._segment(task, where, (part, part_end), {of_attribute: value}, attributes)
                else:
                    self._collector.exclude(task.video_id, where, f"{name} is empty from frame {part[0].number}")

    def _segment(
        self,
        task: _Task,
        where: str,
        frames: tuple[Sequence[_Frame], float],
        labels: dict[str, str],
        attributes: dict[str, str],
    ) -> None:
        run, end = frames
        rate = task.rate or 1.0  # the missing rate is an error already
        constant = {
            name: value
            for name, value in run[0].values.items()
            if value and all(frame.values.get(name) == value for frame in run)
        }
        self._collector.segment(
            task.video_id,
            where,
            start=run[0].number / rate,
            end=end / rate,
            labels=labels,
            attributes=constant | attributes,
        )


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _number(text: str | None) -> int | None:
    """Return the number of a frame, or None if the text is not one."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if text is not None and is_number else None


def _outside(shape: ElementTree.Element) -> str:
    """Return whether a shape is outside, 0 or 1: a skeleton is if all its points are."""
    points = [part.get("outside", "0") for part in shape if part.tag != "attribute"] if shape.tag == "skeleton" else []
    return min(points) if points else shape.get("outside", "0")


def _values(element: ElementTree.Element) -> dict[str, str]:
    return {item.get("name", ""): (item.text or "").strip() for item in element.iterfind("attribute")}


def _without_gaps(frames: Iterable[_Frame], step: int) -> Iterator[list[_Frame]]:
    """Yield the frames in groups of successive ones; a frame that is there twice counts once."""
    run: list[_Frame] = []
    for frame in sorted(frames, key=lambda frame: frame.number):
        if run and frame.number > run[-1].number + step:
            yield run
            run = []
        if not run or frame.number > run[-1].number:
            run.append(frame)
    if run:
        yield run
