"""FineGym: events of gymnastics, and the elements in them.

The files (https://sdolivia.github.io/FineGym):

- `finegym_annotation_info_v1.1.json` (or v1.0): ``{video: {"E_002184_002237": {"event": 1, "timestamps": [[start,
  end]], "segments": {"A_0003_0005": {"stages": 1, "timestamps": [[start, end], ...]}}}}}``. Times are seconds: those of
  an event in the video, those of a segment in its event. `segments` may be null.
- `gym99_train_element_v1.1.txt`, `gym99_val_element.txt`, or those of `gym288`: lines `VIDEO_E_..._A_... 12`, the
  class of an element, and its split;
- `gym99_categories.txt`, or that of `gym288`: lines `Clabel: 12; set: 1; Glabel: 1; (VT) ...`, the names of the
  classes.

Give the JSON file, and the lists of one of the two sets of classes, or their folder. How they are converted:

- An event is a segment with a class of the vocabulary `event`: its number, which stands for the apparatus.
- An element that is in a list is a segment with a class of the vocabulary `element`, by its name if the categories are
  given, else by its number. It lasts from the start of its first stage to the end of the last; `stages` is an
  attribute. Elements that are in no list have no class: they are left out, and the report lists them. If no list is
  given, all have the class `element`.
- The lists split elements. The split of a video is the one of most of its elements, and of `train` if it has none.
- Durations are not stated: add a table `video,duration[,fps]`, or a video ends with its last segment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asl_kit.annotations.clip_splits import video_splits
from asl_kit.annotations.collector import Collector, as_number
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_sources, matches
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import numbered_lines
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

EVENT, ELEMENT = "event", "element"
"""The vocabularies."""
_LISTS = ["gym*_element*.txt"]
_CATEGORIES = ["gym*_categories*.txt"]
_ELEMENT = re.compile(r"(\S{11})(_E_\S+)\s+([0-9]{1,4})")
_CATEGORY = re.compile(r"Clabel:\s*([0-9]{1,4})\s*;.*?;\s*([^;]*[^;\s])\s*;?")


@dataclass(slots=True)
class _Elements:
    """What the lists state."""

    classes: dict[str, str] = field(default_factory=dict)
    """The number of the class of each element."""
    splits: list[tuple[str, str]] = field(default_factory=list)
    """The video and the split of each element."""
    names: dict[str, str] = field(default_factory=dict)
    """The name of each class."""

    def label(self, element: str) -> str | None:
        """Return the class of an element, or None if it is in no list."""
        if not self.classes:
            return ELEMENT
        number = self.classes.get(element)
        return None if number is None else self.names.get(number, number)

    def vocabulary(self) -> list[str]:
        """Return all classes, in the order of their numbers."""
        if not self.classes:
            return [ELEMENT]
        numbers = {*self.classes.values(), *self.names}
        return list(dict.fromkeys(self.names.get(number, number) for number in sorted(numbers, key=int)))


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert the files of FineGym."""
    files, tables = find_sources(sources, ["finegym*.json", *_LISTS, *_CATEGORIES], beside=["*.json"])
    documents = [path for path in files if path.suffix == ".json"]
    if len(documents) != 1:
        raise AnnotationError(f"{', '.join(map(str, sources))}: expected one JSON file, found {len(documents)}")
    collector = Collector(report, mend=True, manifest=manifest, duration_hint=DURATION_HINT)
    elements = _read_elements(files)
    document = read_json(documents[0], AnnotationError)
    if not isinstance(document, dict) or not all(isinstance(events, dict) for events in document.values()):
        raise AnnotationError(f'{documents[0]}: expected {{video: {{"E_...": {{"event", "segments", "timestamps"}}}}}}')
    events_found: set[str] = set()
    splits = video_splits(elements.splits, report)
    for video_id, events in document.items():
        collector.video(video_id, str(documents[0]), split=splits.get(video_id))
        for name, event in events.items():
            _collect(collector, f"{documents[0]}: {name}", video_id, name, event, elements, events_found)
    if not elements.classes:
        report.note(f"no list of the classes of elements is given: all have the class {ELEMENT!r}")
    state_facts(collector, read_facts(collector, tables, table))
    vocabularies = {EVENT: sorted(events_found), ELEMENT: elements.vocabulary()}
    return collector.finish([*files, *tables], dataset="finegym", vocabularies=None if manifest else vocabularies)


def _read_elements(files: Sequence[Path]) -> _Elements:
    elements = _Elements()
    lists = [path for path in files if matches(path, _LISTS)]
    categories = [path for path in files if matches(path, _CATEGORIES)]
    sets = sorted({path.name.partition("_")[0].lower() for path in (*lists, *categories)})
    if len(sets) > 1:
        raise AnnotationError(f"lists of {' and '.join(sets)}", hint="Give the lists of one set of classes.")
    for path in lists:
        split = "train" if "train" in path.name.lower() else "val"
        for number, line in numbered_lines(path, required="VIDEO_E_..._A_... class"):
            match = _ELEMENT.fullmatch(line)
            if match is not None:
                elements.classes[match[1] + match[2]] = str(int(match[3]))
                elements.splits.append((match[1], split))
            else:
                raise AnnotationError(f"{path}:{number}: expected `VIDEO_E_..._A_... class`, found {line!r:.60}")
    for path in categories:
        for number, line in numbered_lines(path, required="Clabel: 0; ...; name"):
            match = _CATEGORY.fullmatch(line)
            if match is not None:
                elements.names[str(int(match[1]))] = match[2]
            else:
                raise AnnotationError(f"{path}:{number}: expected `Clabel: 0; ...; name`, found {line!r:.60}")
    return elements


def _collect(
    collector: Collector,
    where: str,
    video_id: str,
    name: str,
    event: Any,
    elements: _Elements,
    events_found: set[str],
) -> None:
    """Pass an event and its elements to the collector."""
    times = _times(event)
    segments = event.get("segments") if isinstance(event, dict) else None
    number = event.get("event") if isinstance(event, dict) else None
    if times is None or type(number) is not int or not isinstance(segments, dict | None):
        text = f'expected {{"event": 1, "timestamps": [[start, end]], "segments": ...}}, found {event!r:.80}'
        collector.error(where, text, video_id=video_id)
        return
    events_found.add(str(number))
    collector.segment(video_id, where, start=times[0], end=times[1], labels={EVENT: str(number)})
    for key, segment in (segments or {}).items():
        place, inner = f"{where}: {key}", _times(segment)
        if inner is None:
            collector.error(place, f"expected timestamps [[start, end], ...], found {segment!r:.80}", video_id=video_id)
            continue
        label = elements.label(f"{video_id}_{name}_{key}")
        if label is None:
            collector.exclude(video_id, place, "the element is in no list of classes")
            continue
        stages = segment.get("stages")
        collector.segment(
            video_id,
            place,
            start=times[0] + inner[0],
            end=times[0] + inner[1],
            labels={ELEMENT: label},
            attributes={} if stages is None else {"stages": stages},
        )


def _times(item: Any) -> tuple[float, float] | None:
    """Return the start of the first pair of timestamps and the end of the last, or None if they are no pairs."""
    pairs = item.get("timestamps") if isinstance(item, dict) else None
    if not isinstance(pairs, list) or not pairs:
        return None
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return None
    start, end = as_number(pairs[0][0]), as_number(pairs[-1][1])
    return None if start is None or end is None else (start, end)
