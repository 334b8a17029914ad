"""EPIC-KITCHENS-100, from the official tables or from JSON files of ActionFormer and OpenTAD.

Tables (https://github.com/epic-kitchens/epic-kitchens-100-annotations, its README at ede1234), as files or as
the folder that contains them. Any of them may be missing, except that one with segments is needed:

- `EPIC_100_train.csv`, `EPIC_100_validation.csv`: `narration_id`, `video_id`, `start_timestamp`,
  `stop_timestamp` (`HH:MM:SS.ss`), `start_frame`, `stop_frame`, `narration`, `verb`, `verb_class`, `noun`,
  `noun_class` and more; classes by number.
- `EPIC_100_test_timestamps.csv`: the same without narration and classes. The test split is not annotated: its
  videos are kept, and its rows are excluded and reported.
- `EPIC_100_verb_classes.csv`, `EPIC_100_noun_classes.csv`, `EPIC_100_noun_classes_v2.csv`: `id`, `key` (the
  class's name), `instances` (the words it covers, as a Python list). The manifest has the names already: these
  tables are compared with it, and the words of segments with `instances`.
- `EPIC_100_video_info.csv`: `video_id`, `duration`, `fps`. Without it a video ends with its last segment.

Every segment has a verb and a noun. Times are those of the timestamps. Frame numbers are compared with them:
they count 60 frames per second in the videos of EPIC-KITCHENS-55 (`P01_01`), whatever the video's own rate, and 50 in
the extension (`P01_101`), and differ by at most one frame in all of validation, test and the domain adaptation tables.

JSON: the layout of `asl_kit.annotations.converters.activitynet_json`. A file has the labels of one vocabulary,
which `verb` or `noun` in its name or `version` states (ActionFormer: `epic_kitchens_100_verb.json`, class by
`label_id`; OpenTAD: `epic_kitchens_verb.json`, class in the label, `id_003`, and the word in `label_name`), or of
both (OpenTAD: `epic_kitchens_full.json`, `verb_label`, `noun_label`). A file of verbs and a file of nouns are
joined: annotations of the same video with the same times become one segment, in order.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import Collector, as_number
from asl_kit.annotations.converters.activitynet_json import annotations_of, collect_database, read_database
from asl_kit.annotations.converters.epic_shared import (
    VIDEO_INFO,
    check_counts,
    class_name,
    collect_unlabelled,
    collect_video_info,
    name_classes,
    name_splits,
    timed_rows,
)
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import by_name, find_files
from asl_kit.annotations.tables import read_rows
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

NAME = "epic-kitchens"
SEGMENTS = {"EPIC_100_train.csv": "train", "EPIC_100_validation.csv": "validation"}
"""Split of each table of segments."""
TEST = "EPIC_100_test_timestamps.csv"
CLASSES = {
    "EPIC_100_verb_classes.csv": "verb",
    "EPIC_100_noun_classes.csv": "noun",
    "EPIC_100_noun_classes_v2.csv": "noun",
}
"""Vocabulary of each table of classes."""
VOCABULARIES = ("verb", "noun")
FRAME_TOLERANCE = 1.5
"""Largest difference of a timestamp and a frame number, in frames: one in the files, and half a frame for rounding."""

_WORD = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the tables, or the JSON files, of EPIC-KITCHENS-100."""
    if sources and all(path.suffix == ".json" for path in sources):
        return _convert_json(sources, Collector(report, mend=True, manifest=manifest))
    tables = by_name(find_files(sources, (*SEGMENTS, TEST, *CLASSES, VIDEO_INFO)))
    collector = Collector(report, mend=True, manifest=manifest)
    vocabularies = dict(manifest.vocabularies) if manifest else {}
    words = _collect_classes(collector, tables, vocabularies)
    missing = [name for name in VOCABULARIES if not vocabularies.get(name)]
    if missing:
        raise AnnotationError(f"the classes of {' and '.join(missing)} are not known: add {', '.join(CLASSES)}")
    for name, split in SEGMENTS.items():
        if name in tables:
            _collect_segments(collector, tables[name], split, vocabularies, words)
    last_s = {}
    if TEST in tables:
        last_s = collect_unlabelled(collector, tables[TEST], id_column="narration_id", split="test")
    collect_video_info(collector, tables.get(VIDEO_INFO), last_s)
    return collector.finish(tables.values(), dataset=NAME, vocabularies=vocabularies)


def _collect_classes(
    collector: Collector, tables: Mapping[str, Path], vocabularies: dict[str, list[str]]
) -> dict[tuple[str, str], frozenset[str]]:
    """Compare the tables of classes with the vocabularies, or fill these; return the words of each class.

    The keys of the result are a vocabulary and the id of a class.
    """
    words: dict[tuple[str, str], frozenset[str]] = {}
    for table, vocabulary in CLASSES.items():
        if table not in tables:
            continue
        path, known = tables[table], vocabularies.get(vocabulary)
        found: dict[str, str] = {}
        unknown = 0
        for line, row in read_rows(path, required=("id", "key", "instances"), others=True):
            class_id, name = row["id"], row["key"]
            if found.setdefault(class_id, name) != name or not name:
                collector.error(f"{path}:{line}", f"key: {name!r} cannot be the class {class_id!r}")
            if known is not None and class_id not in map(str, range(len(known))):
                unknown += 1
            elif known is not None and known[int(class_id)] != name:
                text = f"key: {name!r} contradicts {known[int(class_id)]!r}, the class {class_id} of the manifest"
                collector.error(f"{path}:{line}", text)
            said = {first or second for first, second in _WORD.findall(row["instances"])}
            words[vocabulary, class_id] = words.get((vocabulary, class_id), frozenset()) | said
        if unknown:
            collector.report.note(f"{path.name}: {unknown} ids that no segment of EPIC-KITCHENS-100 has are left out")
        if known is None and set(found) == set(map(str, range(len(found)))):
            vocabularies[vocabulary] = [found[str(class_id)] for class_id in range(len(found))]
    return words


def _collect_segments(
    collector: Collector,
    path: Path,
    split: str,
    vocabularies: Mapping[str, Sequence[str]],
    words: Mapping[tuple[str, str], frozenset[str]],
) -> None:
    names = {
        vocabulary: {str(n): name for n, name in enumerate(vocabularies[vocabulary])} for vocabulary in VOCABULARIES
    }
    others = ("start_frame", "stop_frame", "narration", "verb", "verb_class", "noun", "noun_class")
    for row in timed_rows(collector, path, id_column="narration_id", others=others, split=split):
        labels = {}
        for vocabulary in VOCABULARIES:
            column, word = f"{vocabulary}_class", row.cells[vocabulary]
            class_id = row.cells[column]
            # An unknown id makes a label that is not a class, which the collector reports and drops.
            label = labels[vocabulary] = names[vocabulary].get(class_id, f"{column} {class_id}")
            if word not in words.get((vocabulary, class_id), (word,)):
                text = f"{column}: {word!r} is no word of the class {class_id} ({label!r}), which counts"
                collector.report.flag("segment", row.video_id, row.where, text)
        rate_hz = 50.0 if len(row.video_id.rpartition("_")[2]) == 3 else 60.0
        check_counts(collector, row, "frame", rate_hz, FRAME_TOLERANCE, f", with {rate_hz:g} frames a second")
        collector.segment(
            row.video_id,
            row.where,
            start=row.start,
            end=row.stop,
            labels=labels,
            attributes={"narration_id": row.cells["narration_id"], "narration": row.cells["narration"]},
        )


def _convert_json(sources: Sequence[Path], collector: Collector) -> AnnotationSet:
    manifest = collector.manifest
    databases: dict[Path, dict[str, Any]] = {}
    kinds: dict[Path, tuple[str, ...]] = {}
    for path in sources:
        document = read_database(path)
        databases[path], kinds[path] = document["database"], _vocabularies_of(path, document)
        name_splits(databases[path])
        classes = [manifest.vocabularies[name] if manifest else [] for name in kinds[path]]
        if len(kinds[path]) == 1:
            name_classes(collector, databases[path], path, kinds[path][0], classes[0])
        for annotation in (item for entry in databases[path].values() for item in annotations_of(entry)):
            if len(kinds[path]) > 1:
                _name_both(annotation, classes)
            elif "label_name" in annotation:
                annotation[f"{kinds[path][0]}_label_name"] = annotation.pop("label_name")
    found = {name for path in sources for name in kinds[path]}
    if found == set(VOCABULARIES):
        verbs, nouns = ({path: databases[path] for path in sources if kinds[path] == (name,)} for name in VOCABULARIES)
        _join(verbs, nouns, collector.report)
    for path in sources:
        collect_database(collector, databases[path], path, vocabulary=kinds[path][0])
    vocabularies = {name: manifest.vocabularies[name] for name in VOCABULARIES if name in found} if manifest else None
    return collector.finish(sources, dataset=NAME, vocabularies=vocabularies)


def _vocabularies_of(path: Path, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the vocabularies whose labels a JSON file has."""
    for text in (path.stem, document.get("version")):
        told = tuple(name for name in VOCABULARIES if isinstance(text, str) and name in text.lower())
        if len(told) == 1:
            return told
    annotations = (item for entry in document["database"].values() for item in annotations_of(entry))
    if any(f"{name}_label" in annotation for annotation in annotations for name in VOCABULARIES):
        return VOCABULARIES
    raise AnnotationError(
        f"{path}: neither its name nor its version states whether its labels are verbs or nouns",
        hint="Name it like epic_kitchens_100_verb.json or epic_kitchens_100_noun.json.",
    )


def _name_both(annotation: dict[str, Any], classes: Sequence[Sequence[str]]) -> None:
    """Replace `verb_label` and `noun_label` by the names of their classes."""
    labels = {}
    for vocabulary, names in zip(VOCABULARIES, classes, strict=True):
        labels[vocabulary] = class_name(annotation.pop(f"{vocabulary}_label", None), None, names)
    annotation |= {"label": labels["verb"], "labels": labels}


def _join(verbs: Mapping[Path, dict[str, Any]], nouns: Mapping[Path, dict[str, Any]], report: ConversionReport) -> None:
    """Move each noun to the verb of the same video and times; flag verbs and nouns without a counterpart."""
    waiting: dict[tuple[object, ...], deque[dict[str, Any]]] = {}
    for _, video_id, _, noun in _numbered(nouns):
        waiting.setdefault((video_id, *_times(noun)), deque()).append(noun)
    moved = set()
    for path, video_id, number, verb in _numbered(verbs):
        same_times = waiting.get((video_id, *_times(verb)))
        if same_times and "labels" in verb and "labels" in same_times[0]:
            noun = same_times.popleft()
            moved.add(id(noun))
            verb.update({**noun, **verb, "labels": {**verb["labels"], **noun["labels"]}})
        else:
            report.flag("segment", video_id, str(path), f"annotations.{number}: no noun has the times of this verb")
    for path, video_id, number, noun in _numbered(nouns):
        if id(noun) not in moved:
            report.flag("segment", video_id, str(path), f"annotations.{number}: no verb has the times of this noun")
    for entry in (entry for database in nouns.values() for entry in database.values() if annotations_of(entry)):
        entry["annotations"] = [item for item in entry["annotations"] if id(item) not in moved]


def _numbered(databases: Mapping[Path, dict[str, Any]]) -> Iterator[tuple[Path, str, int, dict[str, Any]]]:
    """Yield every annotation with its file, video and number."""
    for path, database in databases.items():
        for video_id, entry in database.items():
            for number, annotation in enumerate(annotations_of(entry)):
                yield path, video_id, number, annotation


def _times(annotation: Mapping[str, Any]) -> tuple[float | None, ...]:
    """Return the times of an annotation, for comparison; the collector reports those that are not numbers."""
    times = annotation.get("segment")
    return tuple(map(as_number, times)) if isinstance(times, list) else ()
