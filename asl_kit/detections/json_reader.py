"""JSON files of detections by video, ``{"results": {VIDEO: [ENTRY, ...]}}``, as columns of numbers.

msgspec decodes a valid file, one video at a time. It silently keeps the last of repeated keys, and its errors say
little. A file that it refuses, or in which the number of quotation marks reveals a repeated key, is therefore parsed
again by the standard library, to name video, entry and field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from asl_kit.base.files import read_bytes
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError, error_context

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_BLOCK = 1 << 20


class EntryFile(msgspec.Struct, forbid_unknown_fields=True):
    """The top of a file. A format's own fields follow, of type `msgspec.Raw`; nothing is read from them."""

    results: dict[str, msgspec.Raw]


@dataclass(frozen=True)
class EntryFormat:
    """What an entry holds, and what the file holds beside ``results``."""

    entry: type[msgspec.Struct]
    """The fields of an entry: `segment`, `score` and others, exactly one of them text; unknown ones are forbidden."""
    expected: Mapping[str, str]
    """What each field should be, for messages, in the order in which faults are looked for."""
    labels: Callable[[Sequence[Any]], list[str]]
    """Returns the class names of entries; raises a `ValueError` that starts with the name of the faulty field."""
    file: type[EntryFile]
    """The fields of the file."""
    hint: str
    """What the file should look like."""
    ignores_unknown: bool = False
    """Whether unknown fields, of the file or of an entry, are ignored rather than refused."""


def read_entries(path: Path, form: EntryFormat) -> Detections:
    """Read a file of detections; video ids are in the order of the file, class names are those that occur, sorted.

    Raises
    ------
    MissingFileError
        If there is no such file.
    PredictionError
        If the file is not of the format, or an object has a key twice, or a number is not finite, or an end lies
        before its start. Names file, video, entry index and field.
    """
    data = read_bytes(path)
    with error_context(path, PredictionError):
        detections = _read_valid(data, form)
        return _read_any(data, form) if detections is None else detections


class _Numbers(dict[str, int]):
    """Numbers names in the order in which they come."""

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self)
        return number


class _Columns:
    """Collects the entries of one video after another, as numbers."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._classes = _Numbers()
        self._numeric: list[NDArray[np.float64]] = [np.empty((3, 0))]
        self._label: list[NDArray[np.int32]] = [np.empty(0, np.int32)]

    def add(self, video_id: str, entries: Sequence[Any], labels: Iterable[str]) -> None:
        """Take the entries of a video and their class names."""
        times = [entry.segment for entry in entries]
        numeric = np.empty((3, len(entries)))
        numeric[0] = [start_s for start_s, _ in times]
        numeric[1] = [end_s for _, end_s in times]
        numeric[2] = [entry.score for entry in entries]
        self._numeric.append(numeric)
        self._label.append(np.array([self._classes[label] for label in labels], np.int32))
        self.counts[video_id] = len(entries)

    def to_detections(self) -> Detections:
        """Return all that was taken, with classes in order of their names."""
        start_s, end_s, score = np.concatenate(self._numeric, axis=1)
        names = sorted(self._classes)
        renumbered = np.empty(len(names), np.int32)
        renumbered[[self._classes[name] for name in names]] = np.arange(len(names))
        return Detections(
            video_ids=tuple(self.counts),
            video=np.repeat(np.arange(len(self.counts), dtype=np.int32), list(self.counts.values())),
            start_s=start_s,
            end_s=end_s,
            score=score,
            label=renumbered[np.concatenate(self._label)],
            class_names=tuple(names),
        )


def _read_valid(data: bytes, form: EntryFormat) -> Detections | None:
    """Return the detections of a valid file; None if it may not be one, for `_read_any` to decide.

    A repeated key shows in the quotation marks: the file has more of them than what is kept.
    """
    columns = _Columns()
    try:
        file = msgspec.json.decode(data, type=form.file)
        quotes = 2 + 2 * len(file.results)
        for raw in filter(None, (bytes(getattr(file, field)) for field in file.__struct_fields__[1:])):
            if b'"score"' in raw or b"\\" in raw:  # perhaps detections in the wrong place
                return None
            msgspec.json.decode(raw)
            quotes += 2 + raw.count(b'"')
        entries_of = msgspec.json.Decoder(GenericAlias(list, form.entry))
        for video_id, raw in file.results.items():
            entries = entries_of.decode(raw)
            columns.add(video_id, entries, form.labels(entries))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    quotes += 2 * (len(form.expected) + 1) * sum(columns.counts.values())  # the keys, and the one text
    return columns.to_detections() if quotes == _count_quotes(data) else None


def _count_quotes(data: bytes) -> int:
    """Return the number of quotation marks around keys and texts."""
    view = np.frombuffer(data, np.uint8)
    total = sum(int(np.count_nonzero(view[at : at + _BLOCK] == ord('"'))) for at in range(0, len(view), _BLOCK))
    return total - sum(found[0] == b'\\"' for found in _ESCAPE.finditer(data)) if b"\\" in data else total


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that is not a valid entry: its keys and values in order, repeated keys included."""


def _read_any(data: bytes, form: EntryFormat) -> Detections:
    """Return the detections of a file, or say what is wrong with it."""
    valid = 0

    def parse(pairs: list[tuple[str, Any]]) -> msgspec.Struct | _Pairs:
        nonlocal valid
        try:
            entry = _to_entry(pairs, form)
            form.labels([entry])
        except (msgspec.MsgspecError, ValueError):
            return _Pairs(pairs)  # `_fault_of` says what is wrong, when its place in the file is known
        valid += 1
        return entry

    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=parse)
    except (RecursionError, ValueError) as fault:  # not UTF-8, not JSON, or an integer of thousands of digits
        raise PredictionError(f"not a JSON file: {fault}", hint=form.hint) from fault
    columns = _Columns()
    for video_id, entries in _results(document, form).items():
        columns.add(video_id, entries, form.labels(entries))
    if sum(columns.counts.values()) != valid:
        raise PredictionError("there are detections outside 'results'", hint=form.hint)
    detections = columns.to_detections()
    try:  # half of a surrogate pair, escaped, can be read but not written again
        "".join((*detections.video_ids, *detections.class_names)).encode()
    except UnicodeEncodeError as fault:
        raise PredictionError(f"not a JSON file: {fault}", hint=form.hint) from fault
    return detections


def _to_entry(pairs: Sequence[tuple[str, Any]], form: EntryFormat) -> msgspec.Struct:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    if form.ignores_unknown:
        fields = {field: value for field, value in fields.items() if field in form.expected}
    return msgspec.convert(fields, form.entry)


def _results(document: object, form: EntryFormat) -> dict[str, list[Any]]:
    """Return the valid entries of each video."""
    if not isinstance(document, _Pairs):
        raise PredictionError(f"expected an object, found {_found(document)}", hint=form.hint)
    fields = _without_repeats("the file", document)
    known = form.file.__struct_fields__
    unknown = [field for field in fields if field not in known]
    if unknown and not form.ignores_unknown:
        raise PredictionError(f"unknown field '{unknown[0]}', expected {', '.join(known)}", hint=form.hint)
    if "results" not in fields:
        raise PredictionError("field 'results' is missing", hint=form.hint)
    if not isinstance(fields["results"], _Pairs):
        raise PredictionError(f"results: expected an object, found {_found(fields['results'])}", hint=form.hint)
    results = _without_repeats("results", fields["results"])
    for video_id, entries in results.items():
        if not isinstance(entries, list) or isinstance(entries, _Pairs):
            raise PredictionError(f"video '{video_id}': expected a list, found {_found(entries)}", hint=form.hint)
        for index, entry in enumerate(entries):
            if not isinstance(entry, form.entry):
                fault = _fault_of(entry, form)
                raise PredictionError(f"video '{video_id}', entry {index}{fault}", hint=form.hint)
    return results


def _without_repeats(place: str, pairs: _Pairs) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise PredictionError(f"{place}: key '{key}' occurs twice", hint="keep one of the two")
        fields[key] = value
    return fields


def _found(value: object) -> str:
    if isinstance(value, msgspec.Struct):
        return "a detection"
    if isinstance(value, _Pairs):
        return "an object"
    text = json.dumps(_plain(value), default=lambda _: "...")
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: object) -> object:
    """Return a value with its objects as dicts, to be shown; of a list only the beginning."""
    if isinstance(value, _Pairs):
        return {key: _plain(item) for key, item in value}
    return [_plain(item) for item in value[:30]] if isinstance(value, list) else value


def _fault_of(entry: object, form: EntryFormat) -> str:
    """Return what is wrong with an entry, to follow its place."""
    if not isinstance(entry, _Pairs):
        return f": expected an object, found {_found(entry)}"
    fields: dict[str, Any] = {}
    for key, value in entry:
        if key in fields:
            return f": key '{key}' occurs twice"
        if key not in form.expected and not form.ignores_unknown:
            return f": unknown field '{key}', expected {', '.join(form.expected)}"
        fields[key] = value
    types = {field.name: field.type for field in msgspec.structs.fields(form.entry)}
    for field in form.expected:
        if field not in fields:
            return f": field '{field}' is missing"
    for field, expected in form.expected.items():
        try:
            msgspec.convert(fields[field], types[field])
        except (msgspec.ValidationError, UnicodeEncodeError):  # the latter: half of a surrogate pair
            return f", {field}: expected {expected}, found {_found(fields[field])}"
    try:
        form.labels([_to_entry(entry, form)])
    except ValueError as fault:
        return f", {fault}"
    raise AssertionError("a valid entry")
