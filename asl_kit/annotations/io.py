"""Reading and writing the unified annotation format; equal annotations give equal bytes."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from asl_kit.annotations.schema import FORMAT, VERSION, AnnotationSet, Video
from asl_kit.annotations.validation import semantic_errors
from asl_kit.base.files import read_json, write_text
from asl_kit.base.validation import check_version, error_line, error_lines, list_errors
from asl_kit.errors import AnnotationError


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause garbage collection: it takes a third of the time to read a million small objects, which form no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_annotations(path: str | Path) -> AnnotationSet:
    """Read and validate an annotation file, as `asl_kit.convert` writes it.

    Parameters
    ----------
    path : path
        The annotation file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is not an annotation file of version 1, or contradicts itself; the
        message lists all errors with file, video and field.

    Examples
    --------
    >>> annotations = read_annotations("annotations.json")
    >>> annotations.classes()
    ['jump', 'run']
    >>> [segment.end for segment in annotations.videos["a"].segments]
    [2.0, 4.0]
    """
    annotations, errors = _read_and_validate(Path(path))
    if annotations is None:
        raise AnnotationError(f"{path}: {list_errors(errors)}")
    return annotations


def find_errors(path: Path) -> list[str]:
    """Return every error of an annotation file, one line each; an empty list means that it is valid.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is not an annotation file of version 1.
    """
    return _read_and_validate(path)[1]


@without_garbage_collection()
def _read_and_validate(path: Path) -> tuple[AnnotationSet | None, list[str]]:
    """Return the annotations of a file, or None and its errors."""
    document = read_json(path, AnnotationError)
    _check_format(document, path)
    try:
        return AnnotationSet.model_validate(document), []
    except ValidationError as error:
        return None, _all_errors(document, error)


def write_annotations(annotations: AnnotationSet, path: Path) -> None:
    """Write annotations in canonical order, atomically."""
    write_text(path, to_text(annotations))


def canonical(annotations: AnnotationSet) -> AnnotationSet:
    """Return the same annotations with videos ordered by id and segments by start, end and labels."""
    return AnnotationSet.model_validate(ordered(annotations.model_dump()))


def to_text(annotations: AnnotationSet) -> str:
    """Return the text of the annotation file, with one line for each segment, so that diffs are readable."""
    document = ordered(annotations.model_dump())
    videos = document.pop("videos")
    head = [f' "{key}": {compact(value)},' for key, value in document.items()]
    return "\n".join(["{", *head, ' "videos": {', ",\n".join(map(_video_text, videos.items())), " }", "}", ""])


def _video_text(item: tuple[str, dict[str, Any]]) -> str:
    video_id, video = item
    facts = {key: value for key, value in video.items() if key not in ("segments", "ignored")}
    lists = ",\n".join(f'   "{key}": {_list_text(video[key])}' for key in ("segments", "ignored"))
    return f"  {compact(video_id)}: {compact(facts)[:-1]},\n{lists}}}"


def _list_text(items: list[dict[str, Any]] | None) -> str:
    if not items:
        return compact(items)
    return "[\n" + ",\n".join(f"    {compact(item)}" for item in items) + "]"


def compact(value: object) -> str:
    """Return a value as JSON on one line, without ASCII escapes; NaN and infinity are refused."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def ordered(document: dict[str, Any]) -> dict[str, Any]:
    """Return a valid document, as JSON-ready data, in canonical order."""
    videos = {}
    for video_id, video in sorted(document["videos"].items()):
        segments = video["segments"]
        if segments is not None:
            segments = [
                {
                    **segment,
                    "labels": dict(sorted(segment["labels"].items())),
                    "attributes": _sorted_keys(segment["attributes"]),
                }
                for segment in segments
            ]
            segments.sort(key=_segment_order)
        videos[video_id] = {
            **video,
            "attributes": _sorted_keys(video["attributes"]),
            "segments": segments,
            "ignored": sorted(video["ignored"], key=_segment_order),
        }
    return {**document, "vocabularies": dict(sorted(document["vocabularies"].items())), "videos": videos}


def _segment_order(segment: Mapping[str, Any]) -> tuple[float, float, str]:
    return segment["start"], segment["end"], json.dumps(segment, sort_keys=True)


def _sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted_keys(item) for item in value]
    return value


def _check_format(document: object, path: Path) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = repr(document.get("format")) if isinstance(document, dict) else f"a {type(document).__name__}"
        dataset = "activitynet-json" if isinstance(document, dict) and "database" in document else "DATASET"
        hint = f"Convert it: asl-kit convert {dataset} {path} -o annotations.json"
        raise AnnotationError(f"{path}: format: must be {FORMAT!r}, found {found}", hint=hint)
    check_version(
        document.get("version"),
        VERSION,
        source=str(path),
        what="annotation",
        error=AnnotationError,
        hint="Convert the source again, or install the asl-kit that wrote this file.",
    )


def _all_errors(document: dict[str, Any], error: ValidationError) -> list[str]:
    """Return all error lines, including inconsistencies of the valid parts, which pydantic skips if types are wrong."""
    lines = error_lines(error)
    if all(item["type"] == "inconsistent" for item in error.errors(include_url=False)):
        return lines
    videos = document.get("videos")
    sound = {}
    for video_id, fields in videos.items() if isinstance(videos, dict) else ():
        with suppress(ValidationError):
            sound[video_id] = Video.model_validate(fields)
    with suppress(ValidationError):
        vocabularies = TypeAdapter(dict[str, list[str]]).validate_python(document.get("vocabularies"), strict=True)
        lines += [error_line(*error) for error in semantic_errors(vocabularies, sound)]
    return lines
