"""Annotations made with Label Studio: its exports JSON and JSON-MIN.

The layout (https://labelstud.io/guide/export and https://labelstud.io/tags/timelinelabels; read in
github.com/HumanSignal/label-studio, docs/source/guide/export.md, docs/source/tags/timelinelabels.md and video.md,
web/libs/editor/src/regions/TimelineRegion.js and AudioRegion/AudioRegionModel.js): a list of tasks, each with
`data` (what was annotated), and `annotations`, one for each pass; `completed_by` is the annotator,
`was_cancelled` means that the pass was skipped, and `result` lists the regions, of which two types are segments:

- `timelinelabels`: `value` is `{"ranges": [{"start", "end"}], "timelinelabels": [names]}`, in frames;
- `labels` (the template "video timeline segmentation", by sound): `value` is `{"start", "end", "labels": [names]}`,
  in seconds, and `original_length` beside it is the duration.

JSON-MIN is a list with an entry for each annotation: the task's data, the annotator (`annotator`), and by the
name of each control a list of the values above.

How it is converted:

- A range of frames from `start` to `end` is the time [(start - 1) / rate, end / rate). Frames are counted from
  1 and `end` is the last frame: a range of one frame has equal start and end. Label Studio's own code reads
  ranges in this way (label-studio-ml-backend at 5c12977, label_studio_ml/examples/yolo/utils/converter.py).
- The rate is the one at which Label Studio counted frames, the `frameRate` of the Video tag (24 unless set), which the
  export does not contain. It is read from the column `fps` of a table `video,duration,fps` among the sources; or
  from `fps`, `frame_rate`, `framerate` or `frameRate` in the task's data or `meta`; or from `--fps`; or from a region
  that states both `framesCount` and `duration`. Otherwise the video is refused.
- The duration is read from the table, from `duration` in the task's data or meta, or from a region; otherwise
  a video ends with its last segment.
- The video is the entry `video`, `video_url`, `url` or `audio` of the task's data, or the only entry that names a video
  file. An entry in HTML, `<video src="...">`, names the file of its player. The id is the name of that file without
  suffix, and without the eight digits that Label Studio adds to names of uploaded files (`upload/1/3d3ad63e-a.mp4`).
- All annotations of a task are kept, from all annotators, and tasks of the same video are merged. All labels
  share one vocabulary, "action". `annotator` (the number of `completed_by`) and `control` (the name of the control,
  `from_name`) are attributes of the segment. A region with several labels gives a segment for each.
- A video with regions of other types alone, such as rectangles, is refused: it is not one without action.
- Regions of cancelled annotations and of other types are excluded and reported; predictions and drafts are not
  annotations. A task without annotations is a video that is not annotated if its duration is known; otherwise it is
  excluded and reported.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from asl_kit.annotations.collector import ACTION, Collector, as_number, number_from_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.video_facts import DURATION_HINT, VideoFacts, read_facts
from asl_kit.annotations.video_names import VIDEO_SUFFIXES, file_name, id_from
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_VIDEO_KEYS = ("video", "video_url", "url", "audio")
_RATE_KEYS = ("fps", "frame_rate", "framerate", "frameRate")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
_PLAYER = re.compile(r"""\s*<[^>]*\ssrc=(["'])(.*?)\1""", re.IGNORECASE)
_RATE_HINT = (
    "frames per second: not stated; give the frameRate of Label Studio's Video tag (24 unless set) with --fps, in a"
    " table video,duration,fps (a .csv file among the sources), or as fps in the task's data"
)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    fps: float | None = None,
) -> AnnotationSet:
    """Convert exports of Label Studio, or folders of them."""
    files, tables = find_sources(sources, ["*.json"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT)
    export = _Export(collector, read_facts(collector, tables, table), fps)
    for path in files:
        for where, task in _tasks(path):
            export.collect(where, task)
    export.finish()
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "label-studio"), converter="label-studio")


@dataclass(slots=True)
class _Video:
    """What the tasks of a video state about it."""

    where: str
    location: str
    duration_s: float | None = None
    is_annotated: bool = False
    has_segments: bool = False
    other_types: set[str] = field(default_factory=set)
    """Types of its regions that are no segments."""


class _Export:
    """The tasks of all files while they are collected."""

    def __init__(self, collector: Collector, facts: Mapping[str, VideoFacts], fps: float | None) -> None:
        self._collector = collector
        self._report = collector.report
        self._facts = facts
        self._fps = fps
        self._videos: dict[str, _Video] = {}
        self._left_out = Counter[str]()
        self._counted_rates = 0
        self._without_rate: set[str] = set()

    def collect(self, where: str, task: dict[str, Any]) -> None:
        """Pass the segments of a task to the collector."""
        location = _location(task["data"])
        video_id = _video_id(location)
        if not video_id:
            self._collector.error(where, f"data: names no video; expected one of the keys {', '.join(_VIDEO_KEYS)}")
            return
        video = self._videos.setdefault(video_id, _Video(where, location))
        if video.location != location:
            text = f"another video has the same name: {location!r} and {video.location!r} ({video.where})"
            self._collector.error(where, text, video_id=video_id)
        results = [result for annotation in task["annotations"] for result in annotation["result"]]
        if video.duration_s is None:
            video.duration_s = _first_number(task, ("duration",)) or _duration_s(results)
        rate = self._rate(video_id, task, results)
        for key in ("predictions", "drafts"):
            self._left_out[key] += len(task[key]) if isinstance(task.get(key), list) else 0
        for annotation in task["annotations"]:
            place = f"{where}, annotation {annotation.get('id', 1)!r}"
            if annotation.get("was_cancelled"):
                self._left_out["cancelled annotations"] += 1
                for result in annotation["result"]:
                    self._exclude(video_id, place, result, "of a cancelled annotation")
                continue
            video.is_annotated = True
            self._collector.video(video_id, where, annotated=True)
            for result in annotation["result"]:
                self._collect_region(video_id, place, annotation, result, rate)

    def finish(self) -> None:
        """Pass the durations of the videos to the collector, and add notes to the report."""
        for video_id, video in self._videos.items():
            fact = self._facts.get(video_id)
            duration_s = (fact and fact.duration_s) or video.duration_s
            if not video.is_annotated and duration_s is None:
                self._report.videos_read += 1
                self._report.exclude("video", video_id, video.where, "not annotated, and its duration is not stated")
                continue
            self._collector.video(video_id, video.where, duration=duration_s)
            if video.other_types and not video.has_segments:
                kinds = ", ".join(sorted(video.other_types))
                text = (
                    f"has only regions of type {kinds}, which are not time ranges with a label; expected timelinelabels"
                )
                self._collector.error(video.where, text, video_id=video_id)
        if unknown := sum(video_id not in self._videos for video_id in self._facts):
            self._report.note(f"{unknown} videos of the tables of durations are not annotated, and left out")
        if self._counted_rates:
            self._report.note(f"the frame rate of {self._counted_rates} tasks is taken as framesCount / duration")
        for what, count in self._left_out.items():
            if count:
                self._report.note(f"{count} {what} are left out")

    def _rate(self, video_id: str, task: Mapping[str, Any], results: Sequence[dict[str, Any]]) -> float | None:
        """Return the rate at which frames are counted, in frames per second, or None if it is not stated."""
        fact = self._facts.get(video_id)
        stated = (fact and fact.fps) or _first_number(task, _RATE_KEYS) or self._fps
        if stated or not any(result.get("type") == "timelinelabels" for result in results):
            return stated or None
        for result in results:
            frames, duration_s = (_positive(result["value"].get(name)) for name in ("framesCount", "duration"))
            if frames and duration_s and math.isfinite(rate := frames / duration_s):
                self._counted_rates += 1
                return rate
        return None

    def _exclude(self, video_id: str, where: str, result: Mapping[str, Any], reason: str) -> None:
        self._collector.exclude(video_id, f"{where}, region {result.get('id')!r}", reason)

    def _collect_region(
        self, video_id: str, where: str, annotation: Mapping[str, Any], result: Mapping[str, Any], rate: float | None
    ) -> None:
        kind, value = result.get("type"), result["value"]
        if kind not in ("timelinelabels", "labels") or (kind == "labels" and "start" not in value):
            self._videos[video_id].other_types.add(str(kind))
            self._exclude(video_id, where, result, f"of type {kind!r}, not a time range with a label")
            return
        self._videos[video_id].has_segments = True
        place = f"{where}, region {result.get('id')!r}"
        labels = value.get(kind)
        if not (isinstance(labels, list) and labels and all(isinstance(name, str) and name for name in labels)):
            self._collector.error(place, f"{kind}: must be names of classes, found {labels!r:.60}", video_id=video_id)
            return
        times_s = [(value["start"], value.get("end"))] if kind == "labels" else []
        if kind == "timelinelabels":
            times_s = self._times_s(video_id, place, value.get("ranges"), rate)
        annotator = annotation.get("completed_by")
        if isinstance(annotator, dict):
            annotator = annotator.get("id")  # no e-mail address: annotations are shared
        attributes = {"annotator": annotator, "control": result.get("from_name")}
        for start, end in times_s:
            for label in dict.fromkeys(labels):
                self._collector.segment(
                    video_id,
                    place,
                    start=start,
                    end=end,
                    labels={ACTION: label},
                    attributes={name: found for name, found in attributes.items() if found is not None},
                )

    def _times_s(self, video_id: str, where: str, ranges: object, rate: float | None) -> list[tuple[float, float]]:
        """Return the times of ranges of frames, in seconds; anything else is an error."""
        if rate is None:
            if video_id not in self._without_rate:  # report it once
                self._collector.error(where, _RATE_HINT, video_id=video_id)
            self._without_rate.add(video_id)
            return []
        if not (isinstance(ranges, list) and ranges):
            self._collector.error(where, f"ranges: must be a list of ranges, found {ranges!r:.60}", video_id=video_id)
            return []
        times_s = []
        for found in ranges:
            start, end = (_frame(found.get(name)) if isinstance(found, dict) else None for name in ("start", "end"))
            if start is None or end is None:
                text = f"ranges: must be frame numbers from 1, start and end, found {found!r:.60}"
                self._collector.error(where, text, video_id=video_id)
            else:
                times_s.append(((start - 1) / rate, end / rate))
        return times_s


def _tasks(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of every task, and the task.

    A task has a table `data` and a list of tables `annotations`, each with a list of tables `result`, each with a
    table `value`. Entries of JSON-MIN are converted to this form.
    """
    document = read_json(path, AnnotationError)
    tasks = [document] if isinstance(document, dict) else document
    if not (isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks)):
        raise AnnotationError(f"{path}: not an export of Label Studio: expected a list of tasks")
    for number, task in enumerate(tasks, start=1):
        where = f"{path}: task {task.get('id', number)!r:.40}"
        if not isinstance(task.get("data"), dict):
            task = _from_minimal(task)
        annotations = task.get("annotations", task.get("completions"))
        task = task | {"annotations": annotations or []}
        if not _are_tables(task["annotations"]):
            raise AnnotationError(f"{where}: annotations: must be a list of tables, found {annotations!r:.60}")
        for annotation in task["annotations"]:
            results = annotation["result"] = annotation.get("result") or []
            if not _are_tables(results):
                raise AnnotationError(f"{where}: result: must be a list of tables, found {results!r:.60}")
            for result in results:
                if not isinstance(result.setdefault("value", {}), dict):
                    raise AnnotationError(f"{where}: value: must be a table, found {result['value']!r:.60}")
        yield where, task


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _from_minimal(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of JSON-MIN as a task with one annotation."""
    controls = {name: value for name, value in entry.items() if value and _are_tables(value)}
    results = []
    for name, regions in controls.items():
        for number, value in enumerate(regions):
            kinds = [kind for kind in ("timelinelabels", "labels") if kind in value]
            results.append({"id": f"{name}.{number}", "from_name": name, "type": (kinds or [name])[0], "value": value})
    annotation = {"id": entry.get("annotation_id", 1), "completed_by": entry.get("annotator"), "result": results}
    return {
        "data": {name: value for name, value in entry.items() if name not in controls},
        "annotations": [annotation],
    }


def _location(data: Mapping[str, Any]) -> str:
    """Return the path or URL of a task's video, or an empty text if there is none or it is ambiguous."""
    texts = {key: _plain_location(value) for key, value in data.items() if isinstance(value, str)}
    if stated := next((texts[key] for key in _VIDEO_KEYS if texts.get(key)), ""):
        return stated
    named = [value for value in texts.values() if _suffix(value) in VIDEO_SUFFIXES]
    return named[0] if len(named) == 1 else ""


def _plain_location(text: str) -> str:
    """Return the location in a text, which may be HTML with a player, as in Label Studio's older templates."""
    player = _PLAYER.match(text)
    return player[2] if player else text


def _suffix(location: str) -> str:
    return PurePosixPath(file_name(location)).suffix.lower()


def _video_id(location: str) -> str:
    path = unquote(location.partition("local-files/?d=")[2]) or location
    name = id_from(path)
    return _UPLOADED.sub("", name, count=1) if "upload/" in location and _UPLOADED.match(name) else name


def _first_number(task: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    """Return the first number above 0 under one of the keys in the task's data or its `meta`."""
    tables = (task["data"], task.get("meta"))
    values = (table.get(key) for table in tables if isinstance(table, dict) for key in keys)
    return next((number for value in values if (number := _positive(value))), None)


def _positive(value: object) -> float | None:
    number = as_number(number_from_text(value) if isinstance(value, str) else value)
    return number if number is not None and number > 0 else None


def _duration_s(results: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the duration of the sound or the video that a region states, in seconds."""
    values = (
        table.get(key)
        for result in results
        for table in (result, result["value"])
        for key in ("original_length", "duration")
    )
    return next((number for value in values if (number := _positive(value))), None)


def _frame(value: object) -> int | None:
    number = as_number(value)
    return int(number) if number is not None and number.is_integer() and number >= 1 else None
