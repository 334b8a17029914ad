"""The ActivityNet JSON layout and its variants.

``{"database": {id: {"subset", "duration", "annotations": [{"label", "segment": [start, end]}]}}}``
with times in seconds. ActionFormer and OpenTAD add `fps`, `frame`, `label_id` and
`segment(frames)`, FineAction `frame_num` and `filename`; `asl-kit annotations export --to activitynet`
adds `frames`, `path`, `ignored`, `annotated`, `attributes`, `labels` and a table `asl_kit`, so that
converting back gives the same file, byte for byte. An empty list of annotations means that the video
has no action; a missing or null list, or `"annotated": false`, that it was not annotated.

Classes are in the order of `asl_kit.vocabularies`, or of `label_id` if each class has
one id and the ids are 0 to N-1; otherwise in alphabetical order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from asl_kit.annotations.collector import ACTION, NO_VALUE, Collector, as_number, number_from_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet, Source
from asl_kit.base.files import read_json
from asl_kit.base.similar_names import one_letter_from
from asl_kit.base.validation import StrictModel, validate
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

EXTENSION = "asl_kit"
"""Top-level key that `export` adds: `{"dataset": name, "vocabulary": name, "vocabularies": {name: [names]},
"source": {...}}`; `label` is a class of `vocabulary`."""

_FRAMES_KEYS = ("frames", "frame", "frame_num")
_PATH_KEYS = ("path", "filename")
OTHERS = "other_annotations"
"""Key of a video for segments without a label in the exported vocabulary, which other programs must not read."""

_FACT_KEYS = ("subset", "duration", "fps", *_FRAMES_KEYS, *_PATH_KEYS, "attributes", "url", "resolution")
_SPLITS = {"training": "train", "validation": "val", "testing": "test"}
"""Our names of the subsets of datasets without a manifest."""
_VIDEO_KEYS = frozenset((*_FACT_KEYS, "annotations", OTHERS, "annotated", "ignored"))
_SEGMENT_KEYS = frozenset(("label", "labels", "segment", "label_id", "segment(frames)", "attributes"))


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert JSON files of users' own data: errors are refused, all in one message."""
    collector = Collector(report, mend=False, manifest=manifest)
    documents = {path: read_database(path) for path in sources}
    extensions = [_Extension.read(document.get(EXTENSION), path) for path, document in documents.items()]
    extension = extensions[0] if all(item == extensions[0] for item in extensions) else _Extension()
    databases = {path: document["database"] for path, document in documents.items()}
    classes = extension.vocabularies.get(extension.vocabulary, ())
    for path, database in databases.items():
        collect_database(collector, database, path, vocabulary=extension.vocabulary, classes=classes)
    found = extension.vocabularies or {extension.vocabulary: _class_order(_label_ids(databases.values()))}
    return collector.finish(
        sources,
        dataset=extension.dataset or sources[0].stem,
        converter="activitynet-json",
        vocabularies=manifest.vocabularies if manifest else found,
        source=extension.source,
    )


class _Extension(StrictModel):
    """What `export` adds to a file, so that nothing is lost when the file is converted back."""

    dataset: str | None = None
    vocabulary: str = ACTION
    vocabularies: dict[str, list[str]] = Field(default_factory=dict)
    source: Source | None = None

    @classmethod
    def read(cls, fields: object, path: Path) -> _Extension:
        if fields is None:
            return cls()
        return validate(cls, fields, source=f"{path}: {EXTENSION}", error=AnnotationError)


def convert_published(
    sources: Sequence[Path],
    *,
    dataset: str,
    manifest: Manifest | None,
    report: ConversionReport,
    converter: str | None = None,
    ignored_label: str | None = None,
    read: Callable[[Path], dict[str, Any]] | None = None,
) -> AnnotationSet:
    """Convert JSON files of a published dataset: errors are corrected or dropped, and reported.

    Numbers may be written as text. A duration, frame rate or number of frames that cannot be right counts
    as not stated. If the manifest does not name the classes, they are those of the files.

    Parameters
    ----------
    sources : sequence of Path
        The JSON files.
    dataset : str
        Name of the dataset.
    manifest : Manifest or None
        States the classes, the spelling of the splits, and the splits whose labels are withheld.
    report : ConversionReport
        Records everything that is corrected or dropped.
    converter : str, optional
        Name of the converter. Default: `dataset`.
    ignored_label : str, optional
        Label of segments that belong to no class and become `ignored`.
    read : callable, optional
        Reads a file in another layout and returns it in this one. Default: `read_database`.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    AnnotationError
        If a file is not in this layout.
    """
    collector = Collector(report, mend=True, manifest=manifest)
    named = manifest.vocabularies if manifest else {}
    vocabulary = next(iter(named), ACTION)
    databases = []
    for path in sources:
        database = (read or read_database)(path)["database"]
        databases.append(database)
        collect_database(collector, database, path, vocabulary=vocabulary, published=True, ignored_label=ignored_label)
    label_ids = _label_ids(databases)
    label_ids.pop(ignored_label or "", None)
    if named:
        _note_other_ids(named[vocabulary], label_ids, report)
    vocabularies = named or {vocabulary: _class_order(label_ids)}
    return collector.finish(sources, dataset=dataset, converter=converter, vocabularies=vocabularies)


def has_database(document: object) -> bool:
    """Return whether a document is in this layout: it has a table `database`."""
    return isinstance(document, dict) and isinstance(document.get("database"), dict)


def read_database(path: Path) -> dict[str, Any]:
    """Read a file in this layout.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is not JSON, or has no table `database`.
    """
    return check_database(read_json(path, AnnotationError), path)


def check_database(document: Any, path: Path) -> dict[str, Any]:
    """Return a document that was read from `path`; raise an AnnotationError if it has no table `database`."""
    if not has_database(document):
        raise AnnotationError(
            f'{path}: database: missing; expected {{"database": {{video: {{"subset", "duration", "annotations"}}}}}}'
        )
    checked: dict[str, Any] = document
    return checked


def with_keys(document: dict[str, Any], *, annotations: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return the document of a dataset with other keys in this layout, and with our names of the splits.

    Parameters
    ----------
    document : dict
        As `read_database` returns it; it is changed.
    annotations : str
        Its key of a video's annotations.
    attributes : mapping
        The name of an attribute of the video, by its key.
    """
    for entry in document["database"].values():
        if not isinstance(entry, dict):
            continue
        if annotations in entry:
            entry["annotations"] = entry.pop(annotations)
        entry["attributes"] = {name: entry.pop(key) for key, name in attributes.items() if key in entry}
        entry.pop("video_url", None)
        subset = entry.get("subset")
        if isinstance(subset, str):
            entry["subset"] = _SPLITS.get(subset.lower(), subset)
    return document


def annotations_of(entry: object) -> list[dict[str, Any]]:
    """Return the well-formed annotations of a video in a `database`; `collect_database` reports the others."""
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    return [item for item in annotations if isinstance(item, dict)] if isinstance(annotations, list) else []


def collect_database(
    collector: Collector,
    database: Mapping[str, Any],
    path: Path,
    *,
    vocabulary: str,
    classes: Collection[str] = (),
    published: bool = False,
    ignored_label: str | None = None,
) -> None:
    """Pass every video and segment of a `database` to the collector; the report notes each key that is not used.

    A label such as "nan", which programs write for a value that is missing, is an error unless it is among `classes`,
    or the file is published.
    """
    where, report, manifest = str(path), collector.report, collector.manifest
    rules = _Rules(published, frozenset() if published else NO_VALUE.difference(classes), vocabulary, ignored_label)
    unused: Counter[str] = Counter()
    for video_id, entry in database.items():
        if not isinstance(entry, dict):
            collector.error(where, f"must be a table, found {entry!r}", video_id=video_id)
            continue
        unknown = [key for key in entry if key not in _VIDEO_KEYS]
        misspelt = {key: meant for key in unknown if (meant := one_letter_from(key, _VIDEO_KEYS - entry.keys()))}
        for key, meant in misspelt.items():
            collector.error(where, f"unknown key {key!r} (did you mean {meant!r}?)", video_id=video_id)
        unused.update(key for key in unknown if key not in misspelt)
        stated, doubts = _video_facts(entry, manifest, published=published)
        attributes = entry.get("attributes")
        if not isinstance(attributes, dict | None):
            collector.error(where, f"attributes: must be a table, found {attributes!r}", video_id=video_id)
            attributes = None
        expected = manifest.expected.get(stated["split"]) if manifest else None
        withheld = entry.get("annotated") is False or (expected is not None and not expected.annotated)
        annotated = entry.get("annotations") is not None and not withheld
        collector.video(video_id, where, annotated=annotated, attributes=attributes, **stated)
        for text in doubts:
            if published:
                report.change("video", video_id, where, f"{text}: taken as not stated")
            else:
                collector.error(where, text, video_id=video_id)
        lists = {key: entry.get(key) for key in ("annotations", OTHERS, "ignored")}
        wrong = {key: value for key, value in lists.items() if not isinstance(value, list | None)}
        for key, value in wrong.items():
            collector.error(where, f"{key}: must be a list, found {value!r}", video_id=video_id)
        if wrong:
            continue
        for key in ("annotations", OTHERS):
            for number, annotation in enumerate(lists[key] or ()):
                _collect_annotation(collector, video_id, annotation, where, f"{key}.{number}.", rules)
        for number, annotation in enumerate(lists["ignored"] or ()):
            _collect_ignored(collector, video_id, annotation, where, f"ignored.{number}.")
    for key, count in sorted(unused.items()):
        report.note(f"{path.name}: key {key!r} of {count} videos is not kept")


def _video_facts(
    entry: Mapping[str, Any], manifest: Manifest | None, *, published: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the facts that are stated about a video, and a message for each value that cannot be right."""
    spelling = manifest.subsets | {split.lower(): split for split in manifest.expected} if manifest else {}
    facts: dict[str, Any] = {}
    doubts = []
    for name, keys in (("split", ("subset",)), ("path", _PATH_KEYS)):
        key, value = _first_stated(entry, keys)
        if value is not None and not (isinstance(value, str) and value):
            doubts.append(f"{key}: must be a text, found {value!r}")
            value = None
        facts[name] = value
    if facts["split"] is not None:
        facts["split"] = spelling.get(facts["split"].lower(), facts["split"])
    for name in ("duration", "fps"):
        value = entry.get(name)
        number = as_number(_number(value, published=published))
        if value is not None and (number is None or number <= 0):
            doubts.append(f"{name}: must be a number above 0, found {value!r}")
            number = None
        facts[name] = number
    key, value = _first_stated(entry, _FRAMES_KEYS)
    frames = _number(value, published=published)
    if published and isinstance(frames, float) and frames.is_integer():
        frames = int(frames)
    if frames is not None and not (type(frames) is int and frames > 0):
        doubts.append(f"{key}: must be a whole number above 0, found {value!r}")
        frames = None
    facts["frames"] = frames
    return facts, doubts


def _first_stated(entry: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, Any]:
    """Return the first of the keys that has a value, and the value."""
    return next(((key, entry[key]) for key in keys if entry.get(key) is not None), (keys[0], None))


def _number(value: object, *, published: bool) -> object:
    """Return the number that a text in a published file holds; return anything else as it is."""
    return number_from_text(value) if published and isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class _Rules:
    """How the annotations of a file are read."""

    published: bool
    no_classes: frozenset[str]
    """Labels that mean that there is none."""
    vocabulary: str
    ignored_label: str | None


def _collect_annotation(
    collector: Collector,
    video_id: str,
    annotation: object,
    where: str,
    prefix: str,
    rules: _Rules,
) -> None:
    if not isinstance(annotation, dict):
        collector.error(where, f"{prefix[:-1]}: must be a table, found {annotation!r}", video_id=video_id)
        return
    label, labels, attributes = (annotation.get(key) for key in ("label", "labels", "attributes"))
    if not (isinstance(label, str) and label and label not in rules.no_classes) and not (label is None and labels):
        collector.error(where, f"{prefix}label: must be the name of a class, found {label!r}", video_id=video_id)
        return
    if not isinstance(attributes, dict | None):
        collector.error(where, f"{prefix}attributes: must be a table, found {attributes!r}", video_id=video_id)
        return
    labels = labels or {rules.vocabulary: label}
    if not (isinstance(labels, dict) and all(isinstance(name, str) for name in labels.values())):
        text = f"{prefix}labels: must be the name of a class for each vocabulary, found {labels!r}"
        collector.error(where, text, video_id=video_id)
        return
    others = {key: value for key, value in annotation.items() if key not in _SEGMENT_KEYS}
    for key in others:
        if (meant := one_letter_from(key, _SEGMENT_KEYS - annotation.keys())) is not None:
            collector.error(where, f"{prefix}{key}: unknown key (did you mean {meant!r}?)", video_id=video_id)
            return
    start, end = _times(collector, video_id, annotation, where, prefix)
    is_ignored = label is not None and label == rules.ignored_label
    collector.segment(
        video_id,
        where,
        start=_number(start, published=rules.published),
        end=_number(end, published=rules.published),
        labels=None if is_ignored else labels,
        reason=label or "",
        attributes={**(attributes or {}), **others},
        prefix=prefix,
    )


def _collect_ignored(collector: Collector, video_id: str, ignored: object, where: str, prefix: str) -> None:
    if not (isinstance(ignored, dict) and isinstance(ignored.get("reason"), str)):
        collector.error(where, f"{prefix[:-1]}: must have a segment and a reason, found {ignored!r}", video_id=video_id)
        return
    start, end = _times(collector, video_id, ignored, where, prefix)
    collector.segment(video_id, where, start=start, end=end, labels=None, reason=ignored["reason"], prefix=prefix)


def _times(
    collector: Collector, video_id: str, annotation: Mapping[str, Any], where: str, prefix: str
) -> tuple[object, object]:
    match annotation.get("segment"):
        case [start, end]:
            return start, end
        case found:
            collector.error(where, f"{prefix}segment: must be [start, end], found {found!r}", video_id=video_id)
            return 0.0, 1.0


def _label_ids(databases: Iterable[Mapping[str, Any]]) -> dict[str, set[int | None]]:
    """Return the ids that each label has in the databases; None: no id."""
    label_ids: dict[str, set[int | None]] = {}
    for annotation in (item for entries in databases for entry in entries.values() for item in annotations_of(entry)):
        if isinstance(annotation.get("label"), str):
            label_id = annotation.get("label_id")
            label_ids.setdefault(annotation["label"], set()).add(label_id if type(label_id) is int else None)
    return label_ids


def _class_order(label_ids: Mapping[str, set[int | None]]) -> list[str]:
    """Return the labels in order of their ids if each has one and they are 0 to N-1; otherwise alphabetically."""
    by_id = {next(iter(ids)): label for label, ids in label_ids.items() if len(ids) == 1}
    order = range(len(label_ids))
    return [by_id[index] for index in order] if set(by_id) == set(order) else sorted(label_ids)


def _note_other_ids(classes: Sequence[str], label_ids: Mapping[str, set[int | None]], report: ConversionReport) -> None:
    other = [label for index, label in enumerate(classes) if label_ids.get(label, set()) - {None, index}]
    if other:
        report.note(
            f"label_id of {len(other)} classes (such as {other[0]!r}) differs from the manifest's order, which is used"
        )
