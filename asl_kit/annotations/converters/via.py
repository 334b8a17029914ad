"""Annotations made with VIA 3, the VGG Image Annotator for video: its project file, in JSON.

The layout (https://gitlab.com/vgg/via, via-3.x.y/CodeDoc.md and src/js/_via_attribute.js, _via_file.js,
_via_file_annotator.js; read at commit aa9b87f of github.com/ox-vgg/via): `file` lists files by id (`fname`,
`type`: 2 image, 4 video, 8 sound); `view` lists which files are shown together (`fid_list`); `attribute` lists
the questions (`aname`; `anchor_id`: FILE1_Z2_XY0 for temporal segments; `type`: 1 text, 2 checkbox, 3 radio,
4 select; `options`: name by id); `metadata` lists the answers: `vid` is a view, `z` times in seconds, `xy` a
shape, `av` the value by attribute: an option's id, ids separated by commas (checkbox), or text.

How it is converted:

- A video's id is the name of its file without suffix. A file without metadata is a video without action,
  and needs its duration from a table `video,duration` (`asl_kit.annotations.video_facts`) among the sources:
  VIA does not state the duration of a video. Images are excluded. Projects of the same videos are merged.
- Metadata with two times and no shape are segments. Others (shapes, single frames, metadata of a whole file)
  are excluded and reported.
- Each attribute of temporal segments is a vocabulary with its own name; if there is only one, it is called
  "action". A checkbox with several ticked options gives a segment for each.
- A segment without a value of any attribute is excluded and reported.
- A value that is not one of the options of its attribute is used as the label, as VIA shows it, and reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.annotations.video_names import id_from
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_TABLES = ("attribute", "file", "view", "metadata")
_TEMPORAL_SEGMENT = "FILE1_Z2_XY0"
_IMAGE, _CHECKBOX = 2, 2
"""Type of a file, and of an attribute."""
_MAX_COMBINATIONS = 100
"""Largest number of combinations of ticked options of one segment."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert VIA 3 projects, or folders of them."""
    files, tables = find_sources(sources, ["*.json"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT)
    facts = read_facts(collector, tables, table)
    for project in [_Project(path, _read(path), collector) for path in files]:
        project.collect()
    state_facts(collector, facts)
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "via"), converter="via")


def _read(path: Path) -> dict[str, Any]:
    document = read_json(path, AnnotationError)
    if isinstance(document, dict) and "_via_img_metadata" in document:
        raise AnnotationError(f"{path}: a project of VIA 2, which has no times", hint="Annotate videos with VIA 3.")
    missing = [name for name in _TABLES if not isinstance(document, dict) or not isinstance(document.get(name), dict)]
    if missing:
        raise AnnotationError(f"{path}: not a project of VIA 3: expected the tables {', '.join(missing)}")
    tables: dict[str, Any] = {name: document[name] for name in _TABLES}
    for name, table in tables.items():
        for key, entry in table.items():
            if not isinstance(entry, dict):
                raise AnnotationError(f"{path}: {name} {key!r}: must be a table, found {entry!r:.60}")
    return tables


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A question about temporal segments."""

    vocabulary: str
    is_checkbox: bool
    options: dict[str, str]


class _Project:
    """One project while it is collected."""

    def __init__(self, path: Path, tables: Mapping[str, dict[str, Any]], collector: Collector) -> None:
        self._path = path
        self._tables = tables
        self._collector = collector
        self._report = collector.report
        self._videos: dict[str, str] = {}
        """Id of the video by view."""
        self._images: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._attributes = self._find_attributes()

    def collect(self) -> None:
        """Pass all videos and segments to the collector."""
        for view_id, view in self._tables["view"].items():
            self._collect_view(view_id, view)
        for metadata_id, metadata in self._tables["metadata"].items():
            self._collect_metadata(f"{self._path}: metadata {metadata_id!r}", metadata)

    def _error(self, place: str, text: str, video_id: str | None = None) -> None:
        self._collector.error(f"{self._path}: {place}" if place else str(self._path), text, video_id=video_id)

    def _find_attributes(self) -> dict[str, _Attribute]:
        asked = {
            attribute_id: attribute
            for attribute_id, attribute in self._tables["attribute"].items()
            if attribute.get("anchor_id") == _TEMPORAL_SEGMENT
        }
        found: dict[str, _Attribute] = {}
        for attribute_id, attribute in asked.items():
            place = f"attribute {attribute_id!r}"
            name, options = attribute.get("aname"), attribute.get("options") or {}
            if not (isinstance(name, str) and name.strip()):
                self._error(place, f"aname: must be a name, found {name!r}")
                continue
            if name.strip() in (other.vocabulary for other in found.values()):
                self._error(place, f"aname: two attributes have the name {name!r}")
            if not (isinstance(options, dict) and all(isinstance(option, str) for option in options.values())):
                self._error(place, f"options: must be a table of names, found {options!r:.60}")
                options = {}
            vocabulary = name.strip() if len(asked) > 1 else ACTION
            found[attribute_id] = _Attribute(vocabulary, attribute.get("type") == _CHECKBOX, options)
        return found

    def _collect_view(self, view_id: str, view: Mapping[str, Any]) -> None:
        place, files = f"view {view_id!r}", view.get("fid_list")
        if not (isinstance(files, list) and len(files) == 1):
            self._error(place, f"fid_list: must be one file, which the times refer to, found {files!r:.60}")
            return
        file: dict[str, Any] = self._tables["file"].get(str(files[0]), {})
        video_id = id_from(file["fname"]) if isinstance(file.get("fname"), str) else ""
        if not video_id:
            self._error(place, f"fid_list: {files[0]!r} is not a file with a name (fname)")
            return
        if file.get("type") == _IMAGE:
            self._images[view_id] = video_id
            self._report.videos_read += 1
            self._report.exclude("video", video_id, f"{self._path}: {place}", "an image, no video")
            return
        if self._files.setdefault(video_id, str(files[0])) != str(files[0]):
            self._error(place, "another file has the same name: rename one of the two", video_id)
        self._videos[view_id] = video_id
        self._collector.video(video_id, str(self._path), annotated=True)

    def _collect_metadata(self, where: str, metadata: dict[str, Any]) -> None:
        view_id, times_s, shape = metadata.get("vid"), metadata.get("z"), metadata.get("xy", [])
        values = metadata.get("av")
        view_id = str(view_id) if isinstance(view_id, str | int) else ""
        known = self._videos | self._images
        if view_id not in known:
            if view_id not in self._tables["view"]:  # otherwise the error of the view is enough
                self._collector.error(where, f"vid: must be a view, found {metadata.get('vid')!r:.60}")
            return
        video_id = known[view_id]
        if not (isinstance(times_s, list) and isinstance(shape, list) and isinstance(values, dict)):
            text = f"must have lists z and xy and a table av, found {metadata!r:.90}"
            self._collector.error(where, text, video_id=video_id)
            return
        if shape or len(times_s) < 2 or view_id in self._images:
            what = "a shape" if shape else "of a single frame" if times_s else "of the whole file"
            self._collector.exclude(video_id, where, f"{what}, not a temporal segment")
            return
        if len(times_s) > 2:
            self._collector.error(where, f"z: must be start and end, found {len(times_s)} times", video_id=video_id)
            return
        labels = {
            attribute.vocabulary: self._labels(where, video_id, attribute_id, values)
            for attribute_id, attribute in self._attributes.items()
        }
        given = [[(vocabulary, label) for label in found] for vocabulary, found in labels.items() if found]
        if not labels:
            text = "av: no value for the attribute of temporal segments: the project has none"
            self._collector.error(where, text, video_id=video_id)
        elif not given:
            self._collector.exclude(video_id, where, f"no value for the attribute {' or '.join(map(repr, labels))}")
        elif (count := math.prod(map(len, given))) > _MAX_COMBINATIONS:
            self._collector.error(where, f"av: {count} combinations of ticked options", video_id=video_id)
        else:
            for combination in product(*given):
                self._collector.segment(video_id, where, start=times_s[0], end=times_s[1], labels=dict(combination))

    def _labels(self, where: str, video_id: str, attribute_id: str, values: Mapping[str, Any]) -> list[str]:
        """Return the labels that metadata have for one attribute."""
        attribute, value = self._attributes[attribute_id], values.get(attribute_id, "")
        if not isinstance(value, str):
            text = f"av.{attribute_id}: must be the id of an option, or a text, found {value!r:.60}"
            self._collector.error(where, text, video_id=video_id)
            return []
        chosen = value.split(",") if attribute.is_checkbox else [value]
        labels = []
        for choice in (choice.strip() for choice in chosen):
            label = attribute.options.get(choice, choice).strip()
            if choice and attribute.options and choice not in attribute.options:
                options = ", ".join(attribute.options)
                self._report.flag(
                    "segment", video_id, where, f"{choice!r} is no option ({options}): taken as the label"
                )
            if label and label not in labels:
                labels.append(label)
        return labels
