"""Annotations made with ELAN: one or more `.eaf` files for each video.

The layout (EAF 2.x and 3.x, schema http://www.mpi.nl/tools/elan/EAFv3.0.xsd; seen in the samples of versions 2.7,
2.8 and 3.0 in test/ of github.com/dopefishh/pympi): `HEADER` names the media (`MEDIA_DESCRIPTOR` with `MEDIA_URL`,
`RELATIVE_MEDIA_URL` and `MIME_TYPE`); `TIME_ORDER` lists time slots, `TIME_SLOT_ID` and `TIME_VALUE` in
milliseconds; each `TIER` holds `ALIGNABLE_ANNOTATION`s between two time slots, or `REF_ANNOTATION`s that refer to
another annotation. The text of an annotation is its `ANNOTATION_VALUE`.

How it is converted:

- A video's id is the name, without suffix, of the first medium that is a video (by `MIME_TYPE`; otherwise of
  the first medium), or of the .eaf file if no medium is named. Files of the same medium are merged.
- Every annotation is a segment, and all tiers share one vocabulary, "action". The label is the annotation's value,
  or the name of its tier if the value is empty, as when each action has its own tier. The name of the tier
  and its `PARTICIPANT` and `ANNOTATOR` are attributes of the segment. If tiers are chosen
  (`asl_kit.annotations.tiers`), each has the vocabulary that is stated, and annotations of others are left out.
- A `REF_ANNOTATION` has the whole time of the annotation that it refers to. On a tier of the type Symbolic_Subdivision
  those that refer to one annotation share its time evenly, in the order of `PREVIOUS_ANNOTATION`, as ELAN draws them.
- A time slot without a value is not aligned. On a tier of the type Time_Subdivision, whose annotations follow each
  other without a gap, such slots are spaced evenly between the aligned ones, as in ELAN, and the report counts them.
  Elsewhere annotations that start or end there are refused, with one error for each tier. A medium that is
  shifted against the annotations (`TIME_ORIGIN`) is refused too.
- A file without annotations is a video without action. ELAN does not state the duration of a video: add a table
  `video,duration` (`asl_kit.annotations.video_facts`) to the sources, or the video ends with its last segment.

A document type declaration, and with it every entity, is refused: ELAN does not write them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_kit.annotations.collector import Collector
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

_ANNOTATION_TAGS = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
_MAX_DIGITS = 12
"""Largest number of digits of a time in milliseconds: 30 years."""
_MAX_DEPTH = 100
"""Longest chain of annotations that refer to each other, as in nested tiers."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
) -> AnnotationSet:
    """Convert .eaf files, or folders of them."""
    files, tables = find_sources(sources, ["*.eaf"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT)
    facts = read_facts(collector, tables, table)
    choice = TierChoice(tiers, collector)
    files_of = Counter[str]()
    for path in files:
        document = read_xml(path, "ANNOTATION_DOCUMENT", tool="ELAN")
        video_id = _video_id(collector, document, path)
        files_of[video_id] += 1
        collector.video(video_id, str(path), annotated=True)
        _collect(collector, choice, document, video_id, path)
    choice.check()
    state_facts(collector, facts)
    for video_id, count in files_of.items():
        if count > 1:
            report.note(f"{count} files are of the video {video_id!r}: taken together")
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "elan"), converter="elan")


def _video_id(collector: Collector, document: ElementTree.Element, path: Path) -> str:
    units = (header.get("TIME_UNITS", "milliseconds") for header in document.iterfind("HEADER"))
    for unit in units:
        if unit != "milliseconds":
            collector.error(str(path), f"TIME_UNITS: must be milliseconds, found {unit!r}")
    media = [
        (video_id, medium)
        for medium in document.iterfind("HEADER/MEDIA_DESCRIPTOR")
        if (video_id := id_from(medium.get("MEDIA_URL") or medium.get("RELATIVE_MEDIA_URL") or ""))
    ]
    if not media:
        return path.stem
    media.sort(key=lambda named: not named[1].get("MIME_TYPE", "").startswith("video"))
    video_id, medium = media[0]
    if medium.get("TIME_ORIGIN", "0").strip() not in ("", "0"):
        text = (
            f"TIME_ORIGIN: the video is shifted by {medium.get('TIME_ORIGIN')!r} ms against the annotations; expected 0"
        )
        collector.error(str(path), text, video_id=video_id)
    return video_id


@dataclass(frozen=True, slots=True)
class _Annotation:
    """An annotation of a tier, with either two time slots or the annotation that it refers to."""

    where: str
    tier: ElementTree.Element
    value: str
    slots: tuple[str, str] | None
    parent: str = ""
    previous: str = ""


def _collect(
    collector: Collector, choice: TierChoice, document: ElementTree.Element, video_id: str, path: Path
) -> None:
    """Pass every annotation of a file to the collector."""
    times_ms: dict[str, str | None] = {}
    for slot in document.iterfind("TIME_ORDER/TIME_SLOT"):
        slot_id, time_ms = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        if times_ms.setdefault(slot_id, time_ms) != time_ms:
            text = f"time slot {slot_id!r}: {time_ms!r} contradicts {times_ms[slot_id]!r}"
            collector.error(str(path), text, video_id=video_id)
    listed = list(_annotations(document, path))
    annotations = dict(listed)
    kinds = {kind.get("LINGUISTIC_TYPE_ID"): kind.get("CONSTRAINTS") for kind in document.iterfind("LINGUISTIC_TYPE")}
    if spaced := _space_slots(annotations, times_ms, kinds):
        collector.report.note(f"{path.name}: {spaced} time slots of subdivisions are spaced evenly, as ELAN does")
    shares = _shares(annotations, kinds)
    in_all = sum(element.tag in _ANNOTATION_TAGS for element in document.iter())
    if in_all != len(listed):
        text = f"{in_all} annotations in the file, but {len(listed)} directly in an ANNOTATION of a TIER"
        collector.error(str(path), text, video_id=video_id)
    for annotation_id, times in Counter(annotation_id for annotation_id, _ in listed).items():
        if times > 1:
            text = f"{times} annotations have the ANNOTATION_ID {annotation_id!r}"
            collector.error(str(path), text, video_id=video_id)
    slots_of = _slots(annotations)
    unaligned: dict[str, list[str]] = {}
    for tier in document.iterfind("TIER"):
        choice.found(tier.get("TIER_ID", ""))
    for annotation_id, annotation in listed:
        tier = annotation.tier
        vocabulary = choice.vocabulary(tier.get("TIER_ID", ""), video_id=video_id, where=annotation.where)
        if vocabulary is None:
            continue
        slots = slots_of.get(annotation_id)
        if slots is None:
            text = f"refers to {annotation.parent!r}, which does not lead to an annotation with a time"
            collector.error(annotation.where, text, video_id=video_id)
            continue
        if any(times_ms.get(slot, "") is None for slot in slots):
            unaligned.setdefault(tier.get("TIER_ID", ""), []).append(annotation_id)
            continue
        start_s, end_s = (_seconds(collector, video_id, annotation.where, slot, times_ms) for slot in slots)
        if start_s is None or end_s is None:
            continue
        for place, parts in _shares_above(annotations, shares, annotation_id):
            length_s = (end_s - start_s) / parts
            start_s, end_s = round(start_s + place * length_s, 6), round(start_s + (place + 1) * length_s, 6)
        names = {"tier": "TIER_ID", "participant": "PARTICIPANT", "annotator": "ANNOTATOR"}
        collector.segment(
            video_id,
            annotation.where,
            start=start_s,
            end=end_s,
            labels={vocabulary: annotation.value or tier.get("TIER_ID", "")},
            attributes={name: value for name, key in names.items() if (value := tier.get(key))},
        )
    for tier_id, ids in unaligned.items():  # one error for each tier: usually most of its annotations are not aligned
        count = f"{len(ids)} annotations, the first of them {ids[0]!r}," if len(ids) > 1 else f"annotation {ids[0]!r}"
        text = f"{count} not aligned: a time slot without TIME_VALUE; align in ELAN, or choose other tiers with --tier"
        collector.error(f"{path}: tier {tier_id!r}", text, video_id=video_id)


def _seconds(
    collector: Collector, video_id: str, where: str, slot: str, times_ms: dict[str, str | None]
) -> float | None:
    """Return the time of a slot in seconds; a slot without a time is an error, and None is returned."""
    time_ms = times_ms.get(slot, "")
    if time_ms is not None and time_ms.isascii() and time_ms.isdigit() and len(time_ms) <= _MAX_DIGITS:
        return int(time_ms) / 1000
    text = f"TIME_VALUE: must be a whole number of milliseconds, found {time_ms!r:.40}"
    if slot not in times_ms:
        text = "no such time slot"
    collector.error(where, f"time slot {slot!r}: {text}", video_id=video_id)
    return None


def _annotations(document: ElementTree.Element, path: Path) -> Iterator[tuple[str, _Annotation]]:
    """Yield every annotation with its id."""
    for tier in document.iterfind("TIER"):
        if not tier.get("TIER_ID"):
            raise AnnotationError(f"{path}: a TIER has no TIER_ID")
        for element in (found for annotation in tier.iterfind("ANNOTATION") for found in annotation):
            annotation_id = element.get("ANNOTATION_ID", "")
            where = f"{path}: tier {tier.get('TIER_ID')!r}, annotation {annotation_id!r}"
            value = (element.findtext("ANNOTATION_VALUE") or "").strip()
            if element.tag == "ALIGNABLE_ANNOTATION":
                slots = (element.get("TIME_SLOT_REF1", ""), element.get("TIME_SLOT_REF2", ""))
                yield annotation_id, _Annotation(where, tier, value, slots)
            elif element.tag == "REF_ANNOTATION":
                yield (
                    annotation_id,
                    _Annotation(
                        where,
                        tier,
                        value,
                        None,
                        element.get("ANNOTATION_REF", ""),
                        element.get("PREVIOUS_ANNOTATION", ""),
                    ),
                )
            else:
                raise AnnotationError(
                    f"{where}: expected an ALIGNABLE_ANNOTATION or REF_ANNOTATION, found {element.tag}"
                )


def _slots(annotations: dict[str, _Annotation]) -> dict[str, tuple[str, str]]:
    """Return the two time slots of each annotation: its own, or those of the annotation that it refers to."""
    slots: dict[str, tuple[str, str]] = {}
    for annotation_id in annotations:
        line = [annotation_id]
        while (last := line[-1]) not in slots and last in annotations and annotations[last].slots is None:
            if annotations[last].parent in line or len(line) > _MAX_DEPTH:
                break
            line.append(annotations[last].parent)
        found = slots.get(last) or (annotations[last].slots if last in annotations else None)
        if found is not None:
            slots.update(dict.fromkeys(line, found))
    return slots


def _space_slots(
    annotations: Mapping[str, _Annotation], times_ms: dict[str, str | None], kinds: Mapping[str | None, str | None]
) -> int:
    """Give times to the slots of time subdivisions that are not aligned; return their number."""
    following: dict[str, str] = {}
    for annotation in annotations.values():
        is_divided = kinds.get(annotation.tier.get("LINGUISTIC_TYPE_REF")) == "Time_Subdivision"
        if is_divided and annotation.slots is not None:
            following[annotation.slots[0]] = annotation.slots[1]
    spaced = 0
    for first, second in following.items():
        if times_ms.get(first) is None:
            continue
        line = [first, second]
        while times_ms.get(line[-1], "") is None and line[-1] in following and len(line) <= len(following):
            line.append(following[line[-1]])
        ends = [times_ms.get(slot) or "" for slot in (line[0], line[-1])]
        if len(line) > 2 and all(end.isascii() and end.isdigit() and len(end) <= _MAX_DIGITS for end in ends):
            start, length = int(ends[0]), int(ends[1]) - int(ends[0])
            for place, slot in enumerate(line[1:-1], start=1):
                times_ms[slot] = str(max(start + round(length * place / (len(line) - 1)), 0))
                spaced += 1
    return spaced


def _shares(
    annotations: Mapping[str, _Annotation], kinds: Mapping[str | None, str | None]
) -> dict[str, tuple[int, int]]:
    """Return the place of each annotation of a symbolic subdivision among those of its parent, and their number."""
    children: dict[tuple[str, str], list[str]] = {}
    for annotation_id, annotation in annotations.items():
        if annotation.slots is None and kinds.get(annotation.tier.get("LINGUISTIC_TYPE_REF")) == "Symbolic_Subdivision":
            children.setdefault((annotation.tier.get("TIER_ID", ""), annotation.parent), []).append(annotation_id)
    shares = {}
    for siblings in children.values():
        after = {annotations[sibling].previous: sibling for sibling in siblings}
        line: list[str] = []
        last = after.get("")
        while last is not None and len(line) < len(siblings):
            line.append(last)
            last = after.get(last)
        if len(line) < len(siblings):  # the order is not stated in full: that of the file
            line = siblings
        shares.update({sibling: (place, len(line)) for place, sibling in enumerate(line)})
    return shares


def _shares_above(
    annotations: Mapping[str, _Annotation], shares: Mapping[str, tuple[int, int]], annotation_id: str
) -> list[tuple[int, int]]:
    """Return the shares that lead from the time of the outermost annotation to that of an annotation."""
    found: list[tuple[int, int]] = []
    while annotations[annotation_id].slots is None:
        if annotation_id in shares:
            found.insert(0, shares[annotation_id])
        annotation_id = annotations[annotation_id].parent
    return found
