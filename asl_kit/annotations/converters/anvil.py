"""Annotations made with ANVIL: one or more `.anvil` files for each video.

The layout (https://www.anvil-software.org; XML in UTF-8 or UTF-16, as read by the scripts of several labs, and for the
InHARD data set): `head` names the video (`video` with `src`); `body` lists tracks by `name` and `type`. An element `el`
of a primary track has its `start` and `end` in seconds. Those of a track of type span name the first and the last
element of the track that it refers to (`ref`) by `index`; those of type singleton name one element (`ref`); those of a
point track have a `time`. An element's values are its `attribute`s, by `name`.

How it is converted:

- A video's id is the name of its file without suffix, or that of the .anvil file if none is named. Files of the same
  video are merged. ANVIL does not state the duration of a video: add a table `video,duration`
  (`asl_kit.annotations.video_facts`) to the sources, or the video ends with its last segment.
- An element is a segment; one of a span or singleton track has the time of the elements that it refers to. If the
  elements of its track have one attribute, the label is its value, or the name of the track if it is empty. All tracks
  share the vocabulary "action". The name of the track is an attribute of the segment.
- A track is a tier (`asl_kit.annotations.tiers`); if its elements have several attributes, each of them is,
  `track.attribute`, and the user has to choose. An element is then one segment with a class in each vocabulary.
  Elements of other tracks, and those without a value of the chosen attributes, are left out and reported.
- Points are points in time (`asl_kit.annotations.point_window`): without a window they are excluded and reported.
  Tracks of other types are refused.

A document type declaration, and with it every entity, is refused.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import Collector, as_number, number_from_text
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.tiers import ALL_TIERS, TierChoice, TierOptions
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.annotations.video_names import id_from
from asl_kit.annotations.xml_files import read_xml
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_POINTS = ("point", "primary point")
_TYPES = ("primary", "span", "singleton", *_POINTS)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    point_window: PointWindow | None = None,
) -> AnnotationSet:
    """Convert .anvil files, or folders of them."""
    files, tables = find_sources(sources, ["*.anvil"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT, point_window=point_window)
    facts = read_facts(collector, tables, table)
    choice = TierChoice(tiers, collector)
    for path in files:
        document = read_xml(path, "annotation", tool="ANVIL")
        named = (id_from(video.get("src", "")) for video in document.iterfind("head/video"))
        video_id = next(filter(None, named), path.stem)
        collector.video(video_id, str(path), annotated=True)
        _Body(path, document, video_id, collector).collect(choice)
    choice.check()
    state_facts(collector, facts)
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "anvil"), converter="anvil")


class _Body:
    """The tracks of one file."""

    def __init__(self, path: Path, document: ElementTree.Element, video_id: str, collector: Collector) -> None:
        self._path = path
        self._video_id = video_id
        self._collector = collector
        self._tracks: dict[str, ElementTree.Element] = {}
        for track in document.iterfind("body/track"):
            name, kind = track.get("name", ""), track.get("type", "")
            if not name or name in self._tracks:
                raise AnnotationError(f"{path}: track {name!r}: expected a name, and each name once")
            if kind not in _TYPES:
                expected = ", ".join(_TYPES)
                raise AnnotationError(f"{path}: track {name!r}: type: expected one of {expected}, found {kind!r:.40}")
            self._tracks[name] = track
        if (count := sum(1 for _ in document.iter("el"))) != sum(
            len(track.findall("el")) for track in self._tracks.values()
        ):
            raise AnnotationError(
                f"{path}: {count} elements <el> in the file, but not all directly in a track of the body"
            )
        self._elements = {
            name: {element.get("index", ""): element for element in track.iterfind("el")}
            for name, track in self._tracks.items()
        }

    def collect(self, choice: TierChoice) -> None:
        """Pass all elements to the collector."""
        for name, track in self._tracks.items():
            elements = track.findall("el")
            fields = {field.get("name", ""): "" for element in elements for field in element.iterfind("attribute")}
            choice.of_fields(name, fields)
            for element in elements:
                where = f"{self._path}: track {name!r}, element {element.get('index')!r:.40}"
                is_point = track.get("type") in _POINTS
                if is_point and self._collector.point_window is None:  # no choice is needed for what is left out
                    self._collector.point(self._video_id, where, time=None, labels={})
                    continue
                values = fields | {
                    field.get("name", ""): (field.text or "").strip() for field in element.iterfind("attribute")
                }
                found = choice.labels(name, values, video_id=self._video_id, where=where)
                if is_point:
                    time = number_from_text(element.get("time", ""))
                    for labels in found:
                        self._collector.point(
                            self._video_id, where, time=time, labels=labels, attributes={"tier": name}
                        )
                    continue
                times_s = self._times_s(track, element, where, 0) if found else None
                for labels in found if times_s else ():
                    start_s, end_s = times_s or (0.0, 0.0)
                    self._collector.segment(
                        self._video_id, where, start=start_s, end=end_s, labels=labels, attributes={"tier": name}
                    )

    def _times_s(
        self, track: ElementTree.Element, element: ElementTree.Element, where: str, depth: int
    ) -> tuple[float, float] | None:
        """Return the start and the end of an element in seconds; None: they are not known, which is an error."""
        if track.get("type") == "primary":
            times_s = [as_number(number_from_text(element.get(name, ""))) for name in ("start", "end")]
            if times_s[0] is None or times_s[1] is None:
                text = f"start and end: must be seconds, found {element.attrib!r:.80}"
                self._collector.error(where, text, video_id=self._video_id)
                return None
            return times_s[0], times_s[1]
        other = track.get("ref", "")
        names = ("ref", "ref") if track.get("type") == "singleton" else ("start", "end")
        ends = [self._elements.get(other, {}).get(element.get(name, "")) for name in names]
        if (
            depth > len(self._tracks)
            or ends[0] is None
            or ends[1] is None
            or self._tracks[other].get("type") in _POINTS
        ):
            text = f"refers to elements of {other!r} that are not there or have no time, found {element.attrib!r:.80}"
            self._collector.error(where, text, video_id=self._video_id)
            return None
        first, last = (self._times_s(self._tracks[other], end, where, depth + 1) for end in (ends[0], ends[1]))
        return (first[0], last[1]) if first and last else None
