"""Predictions on disk: ActivityNet detection JSON, or a table."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations.scored_table import read_scored_rows
from asl_kit.base.files import atomic_write
from asl_kit.detections.table import Detections
from asl_kit.errors import MissingFileError, PredictionError, error_context

FILE_FIELDS = ("results", "version", "external_data")  # the last two are ActivityNet's; nothing is read from them
ENTRY_FIELDS = ("segment", "label", "score")
FORMAT_HINT = 'expected {"results": {VIDEO: [{"segment": [START, END], "label": NAME, "score": NUMBER}, ...]}}'


def write_predictions(path: Path, detections: Detections) -> None:
    """Write ActivityNet detection JSON, whole or not at all.

    Nothing is rounded. Videos are in order of their id, one a line, and detections in order of
    score, so that equal detections make equal bytes.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"results": {')
        for number, video_id in enumerate(sorted(detections.video_ids)):
            entries = [
                {"segment": [row.start_s, row.end_s], "label": row.label, "score": row.score}
                for row in detections.rows(video_id)
            ]
            file.write(",\n" if number else "\n")
            file.write(f"{json.dumps(video_id, ensure_ascii=False)}: {json.dumps(entries, ensure_ascii=False)}")
        file.write("\n}}\n")


def read_predictions(path: Path) -> Detections:
    """Read ActivityNet detection JSON; or a table, if the suffix is ``.csv``.

    Video ids are in the order of the file; class names are those that occur, sorted. Of tables, see
    `asl_kit.annotations.scored_table`.

    Raises
    ------
    MissingFileError
        If there is no such file.
    PredictionError
        If it is neither, or not of that structure, or an object has a key twice, or a number is
        not finite, or an end lies before its start. Names file, video, entry index and field.
    """
    if path.suffix.lower() == ".csv":
        video_ids, rows = read_scored_rows(path)
        with error_context(path, PredictionError):
            return Detections.from_lists(rows, video_ids=video_ids)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    with error_context(path, PredictionError):
        quickly = _read_quickly(data)
        if quickly is not None:
            return quickly
        reader = _Reader()
        try:
            text = data.decode("utf-8")
            del data
            document = json.loads(text, object_pairs_hook=reader.take)
        except (RecursionError, ValueError) as fault:  # not UTF-8, not JSON, or an integer of thousands of digits
            raise PredictionError(f"not a JSON file: {fault}", hint=FORMAT_HINT) from fault
        del text
        found = reader.detections(document)
        try:  # half a surrogate pair, escaped: it can be read, but never be written again
            "".join((*found.video_ids, *found.class_names)).encode()
        except UnicodeEncodeError as fault:
            raise PredictionError(f"not a JSON file: {fault}", hint=FORMAT_HINT) from fault
        return found


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    segment: tuple[float, float]
    label: Annotated[str, msgspec.Meta(min_length=1)]
    score: float


class _File(msgspec.Struct, forbid_unknown_fields=True):
    results: dict[str, msgspec.Raw]
    version: msgspec.Raw = msgspec.Raw()
    external_data: msgspec.Raw = msgspec.Raw()


class _Numbers(dict[str, int]):
    """Numbers names as they come."""

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self)
        return number


def _read_quickly(data: bytes) -> Detections | None:
    """Return the detections of a sound file, a video at a time; None if anything is odd, for `_Reader` to say what.

    Of a key that occurs twice the decoder keeps the last. It shows in the quotation marks: there are more of
    them than in what is kept.
    """
    if b"\\" in data:  # so that names are as they stand
        return None
    numbers = _Numbers()
    columns: list[tuple[NDArray[np.float64], NDArray[np.int32]]] = [(np.empty((3, 0)), np.empty(0, np.int32))]
    counts: dict[str, int] = {}
    try:
        file = msgspec.json.Decoder(_File).decode(data)
        quotes = 2 + 2 * len(file.results)  # of the key "results", and of the videos
        for other in filter(None, map(bytes, (file.version, file.external_data))):
            if b'"score"' in other:  # detections in the wrong place
                return None
            msgspec.json.decode(other)
            quotes += 2 + other.count(b'"')
        entries_of = msgspec.json.Decoder(list[_Entry])
        for video_id, raw in file.results.items():
            entries = entries_of.decode(raw)
            times = [entry.segment for entry in entries]
            numeric = np.empty((3, len(entries)))
            numeric[0] = [start_s for start_s, _ in times]
            numeric[1] = [end_s for _, end_s in times]
            numeric[2] = [entry.score for entry in entries]
            columns.append((numeric, np.array([numbers[entry.label] for entry in entries], np.int32)))
            counts[video_id] = len(entries)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    quotes += 8 * sum(counts.values())  # of three keys and a label
    if quotes != _count_quotes(data):
        return None
    start_s, end_s, score = np.concatenate([numeric for numeric, _ in columns], axis=1)
    return _to_detections(counts, start_s, end_s, score, np.concatenate([label for _, label in columns]), numbers)


def _count_quotes(data: bytes) -> int:
    block = 1 << 20
    view = np.frombuffer(data, np.uint8)
    return sum(int(np.count_nonzero(view[at : at + block] == ord('"'))) for at in range(0, len(view), block))


def _to_detections(
    counts: Mapping[str, int],
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    score: NDArray[np.float64],
    label: NDArray[np.int32],
    classes: Mapping[str, int],
) -> Detections:
    """Return columns in order of `counts`, the detections of each video, with classes in order of their names."""
    names = sorted(classes)
    renumbered = np.empty(len(names), np.int32)
    renumbered[[classes[name] for name in names]] = np.arange(len(names))
    return Detections(
        video_ids=tuple(counts),
        video=np.repeat(np.arange(len(counts), dtype=np.int32), list(counts.values())),
        start_s=start_s,
        end_s=end_s,
        score=score,
        label=renumbered[label],
        class_names=tuple(names),
    )


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that is not a sound detection, with its keys as they stand, repeated ones too."""


_NUMBERS = frozenset({int, float})
_ROW = object()  # stands in the document for a detection whose numbers are in the reader's columns


class _Reader:
    """Turns each detection into numbers as it is parsed, so that millions never exist as Python objects."""

    def __init__(self) -> None:
        self.start_s, self.end_s, self.score = array("d"), array("d"), array("d")
        self.label = array("i")
        self.classes: dict[str, int] = {}

    def take(self, pairs: list[tuple[str, Any]]) -> object:
        """Keep a detection's numbers and return `_ROW`; return anything else as it is."""
        if len(pairs) == len(ENTRY_FIELDS):
            entry = dict(pairs)
            try:
                (start_s, end_s), label, score = entry["segment"], entry["label"], entry["score"]
                if (
                    type(start_s) in _NUMBERS
                    and type(end_s) in _NUMBERS
                    and type(score) in _NUMBERS
                    and type(label) is str
                    and label
                ):
                    start_s, end_s, score = float(start_s), float(end_s), float(score)  # before any is kept
                    self.start_s.append(start_s)
                    self.end_s.append(end_s)
                    self.score.append(score)
                    self.label.append(self.classes.setdefault(label, len(self.classes)))
                    return _ROW
            except (KeyError, TypeError, ValueError, OverflowError):
                pass  # described later, when its place in the document is known
        return _Pairs(pairs)

    def detections(self, document: object) -> Detections:
        """Return the columns as `Detections`, once the structure around them is found sound."""
        if not isinstance(document, _Pairs):
            raise PredictionError(f"expected an object, found {_found(document)}", hint=FORMAT_HINT)
        fields = _without_repeats("the file", document)
        for field in fields:
            if field not in FILE_FIELDS:
                raise PredictionError(f"unknown field '{field}', expected {', '.join(FILE_FIELDS)}", hint=FORMAT_HINT)
        if "results" not in fields:
            raise PredictionError("field 'results' is missing", hint=FORMAT_HINT)
        results = fields["results"]
        if not isinstance(results, _Pairs):
            raise PredictionError(f"results: expected an object, found {_found(results)}", hint=FORMAT_HINT)
        counts = {}
        for video_id, entries in _without_repeats("results", results).items():
            if not isinstance(entries, list) or isinstance(entries, _Pairs):
                raise PredictionError(f"video '{video_id}': expected a list, found {_found(entries)}", hint=FORMAT_HINT)
            if entries.count(_ROW) != len(entries):
                index, entry = next((index, entry) for index, entry in enumerate(entries) if entry is not _ROW)
                raise PredictionError(f"video '{video_id}', entry {index}{_fault_of(entry)}", hint=FORMAT_HINT)
            counts[video_id] = len(entries)
        if sum(counts.values()) != len(self.score):
            raise PredictionError("there are detections outside 'results'", hint=FORMAT_HINT)

        return _to_detections(
            counts,
            np.asarray(self.start_s, np.float64),
            np.asarray(self.end_s, np.float64),
            np.asarray(self.score, np.float64),
            np.asarray(self.label, np.int32),
            self.classes,
        )


def _without_repeats(place: str, pairs: _Pairs) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise PredictionError(f"{place}: key '{key}' occurs twice", hint="keep one of the two")
        fields[key] = value
    return fields


def _found(value: object) -> str:
    if value is _ROW:
        return "a detection"
    if isinstance(value, _Pairs):
        return "an object"
    text = json.dumps(value, default=lambda _: "...")
    return text if len(text) <= 60 else text[:57] + "..."


def _fault_of(entry: object) -> str:
    """Return what is wrong with an entry that `_Reader.take` left alone, to follow its place."""
    if not isinstance(entry, _Pairs):
        return f": expected an object, found {_found(entry)}"
    fields: dict[str, Any] = {}
    for key, value in entry:
        if key in fields:
            return f": key '{key}' occurs twice"
        if key not in ENTRY_FIELDS:
            return f": unknown field '{key}', expected {', '.join(ENTRY_FIELDS)}"
        fields[key] = value
    for field in ENTRY_FIELDS:
        if field not in fields:
            return f": field '{field}' is missing"
    segment, label, score = (fields[field] for field in ENTRY_FIELDS)
    if not isinstance(segment, list) or len(segment) != 2 or not all(_is_number(time) for time in segment):
        return f", segment: expected two numbers [start, end], found {_found(segment)}"
    if not isinstance(label, str) or not label:
        return f", label: expected a class name, found {_found(label)}"
    return f", score: expected a number, found {_found(score)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) in _NUMBERS and abs(value) <= sys.float_info.max
