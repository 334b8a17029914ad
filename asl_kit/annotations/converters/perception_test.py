"""Perception Test: actions and sounds in short videos of people at a table.

The annotations (https://github.com/google-deepmind/perception_test, `all_train.json`, `all_valid.json`, and the files
of the challenges) are JSON: ``{id: {"metadata": {"split", "frame_rate", "num_frames", ...}, "action_localisation":
[{"id", "label_id", "label", "parent_objects", "timestamps": [start, end], "frame_ids"}], "sound_localisation": ...}}``
with times in microseconds.

- Actions have a class of the vocabulary `action`, sounds one of the vocabulary `sound`. Classes are in the order of
  `label_id` if each has one id, otherwise sorted.
- `parent_objects` (the objects that take part) is an attribute, if there are any. `frame_ids` and `id` are not kept.
- `frame_rate` and `num_frames` give the duration. The split is that of `metadata`; `valid` is `val`.
- A video without both lists is not annotated; with an empty list it has no action. Tracks, points and questions are of
  other tasks, and not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, Collector, as_number
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

TASKS = {"action_localisation": ACTION, "sound_localisation": "sound"}
"""Vocabulary of each list of segments."""
_SPLITS = {"valid": "val", "validation": "val"}
_MICROSECONDS = 1_000_000


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert JSON files of Perception Test."""
    collector = Collector(report, mend=True, manifest=manifest)
    label_ids: dict[str, dict[str, set[object]]] = {}
    for path in sources:
        document = read_json(path, AnnotationError)
        if not isinstance(document, dict) or not any(
            isinstance(entry, dict) and "metadata" in entry for entry in document.values()
        ):
            raise AnnotationError(f'{path}: expected {{video: {{"metadata", "action_localisation": [...]}}}}')
        for video_id, entry in document.items():
            _collect(collector, path, video_id, entry, label_ids)
    vocabularies = {name: _class_order(ids) for name, ids in label_ids.items()} or {ACTION: []}
    return collector.finish(sources, dataset="perception-test", vocabularies=None if manifest else vocabularies)


def _collect(
    collector: Collector, path: Path, video_id: str, entry: Any, label_ids: dict[str, dict[str, set[object]]]
) -> None:
    where = str(path)
    metadata = entry.get("metadata") if isinstance(entry, dict) else None
    lists = {name: entry.get(name) for name in TASKS} if isinstance(entry, dict) else {}
    if not isinstance(metadata, dict) or not all(isinstance(items, list | None) for items in lists.values()):
        collector.error(where, "must have metadata, and lists of actions and sounds", video_id=video_id)
        return
    fps, frames, split = as_number(metadata.get("frame_rate")), metadata.get("num_frames"), metadata.get("split")
    count = as_number(frames)
    seconds = None if fps is None or fps <= 0 or count is None else as_number(count / fps)
    if fps is None or type(frames) is not int or seconds is None or seconds <= 0:
        found = f"found {metadata.get('frame_rate')!r:.40} and {frames!r:.40}"
        collector.error(where, f"metadata: frame_rate and num_frames must be above 0, {found}", video_id=video_id)
        return
    split = _SPLITS.get(split, split) if isinstance(split, str) and split else None
    annotated = any(items is not None for items in lists.values())
    collector.video(video_id, where, annotated=annotated, split=split, duration=seconds, fps=fps, frames=frames)
    for name, items in lists.items():
        if items is not None:
            label_ids.setdefault(TASKS[name], {})
        for number, item in enumerate(items or ()):
            label = item.get("label") if isinstance(item, dict) else None
            times = item.get("timestamps") if isinstance(item, dict) else None
            if not (isinstance(label, str) and label and isinstance(times, list) and len(times) == 2):
                text = f"{name}.{number}: must have a label and two timestamps, found {item!r:.80}"
                collector.error(where, text, video_id=video_id)
                continue
            label_id = item.get("label_id")
            label_ids[TASKS[name]].setdefault(label, set()).add(label_id if type(label_id) is int else None)
            start, end = (time if (us := as_number(time)) is None else us / _MICROSECONDS for time in times)
            objects = item.get("parent_objects")
            collector.segment(
                video_id,
                where,
                start=start,
                end=end,
                labels={TASKS[name]: label},
                attributes={"parent_objects": objects} if objects else {},
                prefix=f"{name}.{number}.",
            )


def _class_order(label_ids: dict[str, set[object]]) -> list[str]:
    """Return the labels in order of their ids if each has one of its own; otherwise alphabetically."""
    ids = {next(iter(ids)): label for label, ids in label_ids.items() if len(ids) == 1}
    numbers = [number for number in ids if isinstance(number, int)]
    return [ids[number] for number in sorted(numbers)] if len(numbers) == len(label_ids) else sorted(label_ids)
