"""What converters share: they hand over what they read, and get back a sound annotation set.

The collector checks every item the same way whatever the layout it came from,
so a converter only has to know its layout. Two policies:

- refuse (users' own data): every error is listed in one error, nothing is written;
- mend (published data, which nobody can correct at its source): a segment that ends
  after its video is clipped, one that cannot be mended is dropped, and both are reported.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asl_kit import __version__
from asl_kit.annotations.io import ordered
from asl_kit.annotations.report import ConversionReport, Kind
from asl_kit.annotations.schema import AnnotationSet, Source, SourceFile
from asl_kit.annotations.validation import DURATION_TOLERANCE_S, time_error
from asl_kit.base.files import sha256_of
from asl_kit.base.validation import list_errors, validate
from asl_kit.errors import AnnotationError, MissingFileError

ACTION = "action"
"""Name of the vocabulary of a dataset that has one."""
DEFAULT_SPLIT = "train"


@dataclass(slots=True)
class _Item:
    """A segment as it was read; `labels` is None for a stretch to ignore."""

    where: str
    prefix: str
    start_s: float
    end_s: float
    labels: dict[str, str] | None
    reason: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return "ignored" if self.labels is None else "segment"


@dataclass(slots=True)
class _Facts:
    """What is known of a video so far."""

    where: str
    stated: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    items: list[_Item] = field(default_factory=list)
    annotated: bool = False
    no_action_at: str | None = None


class Collector:
    """Gathers videos and segments of a source and makes an `AnnotationSet` of them.

    Parameters
    ----------
    report : ConversionReport
        Is told of everything read, dropped and changed.
    mend : bool
        True: mend or drop faulty items, and report them. False: refuse them.
    """

    def __init__(self, report: ConversionReport, *, mend: bool) -> None:
        self._report = report
        self._mend = mend
        self._videos: dict[str, _Facts] = {}
        self._faults: list[str] = []
        self._faulty: set[str] = set()

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def error(self, where: str, text: str, *, video_id: str | None = None) -> None:
        """Record something that makes the source unusable; `finish` raises all of them."""
        if video_id is None:
            self._faults.append(f"{where}: {text}")
        else:
            self._faults.append(f"{where}: video {video_id!r}: {text}")
            self._faulty.add(video_id)

    def video(
        self,
        video_id: str,
        where: str,
        *,
        split: str | None = None,
        duration: float | None = None,
        fps: float | None = None,
        frames: int | None = None,
        path: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a video, or more facts of one; None: not stated here.

        Parameters
        ----------
        video_id, where : str
            The video, and where it was read: file and line.
        split, duration, fps, frames, path, attributes
            As in `asl_kit.annotations.schema.Video`; what contradicts an earlier statement is a error.
        """
        facts = self._videos.get(video_id)
        if facts is None:
            facts = self._videos[video_id] = _Facts(where)
            self._report.videos_read += 1
        facts_read = {"split": split, "duration": duration, "fps": fps, "frames": frames, "path": path}
        stated = {name: value for name, value in facts_read.items() if value is not None}
        for table, fields in ((facts.stated, stated), (facts.attributes, attributes or {})):
            for name, value in fields.items():
                if table.setdefault(name, value) != value:
                    text = f"{name}: {value!r} contradicts {table[name]!r} ({facts.where})"
                    self.error(where, text, video_id=video_id)

    def no_action(self, video_id: str, where: str) -> None:
        """Record that a video, already recorded, was annotated and has no action."""
        self._videos[video_id].annotated = True
        self._videos[video_id].no_action_at = where

    def annotated(self, video_id: str) -> None:
        """Record that a video, already recorded, was annotated, whatever was found in it."""
        self._videos[video_id].annotated = True

    def segment(
        self,
        video_id: str,
        where: str,
        *,
        start: object,
        end: object,
        labels: dict[str, str] | None,
        reason: str = "",
        attributes: dict[str, Any] | None = None,
        prefix: str = "",
    ) -> None:
        """Record a segment of a video already recorded.

        Parameters
        ----------
        video_id, where : str
            The video, and where the segment was read: file and line.
        start, end : object
            Seconds as they were read; anything but a finite number is a error.
        labels : dict or None
            Class name by vocabulary; None: a stretch of time to ignore, for `reason`.
        reason : str
            Why it is ignored.
        attributes : dict, optional
            What else is said of it.
        prefix : str
            Put before the field's name in messages: `annotations.3.`.
        """
        self._report.segments_read += 1
        facts = self._videos[video_id]
        facts.annotated = facts.annotated or labels is not None
        times = []
        for name, value in (("start", start), ("end", end)):
            number = as_number(value)
            if number is None:
                kind: Kind = "ignored" if labels is None else "segment"
                self._problem(kind, video_id, where, f"{prefix}{name}: must be a finite number, found {value!r}")
                return
            times.append(number)
        facts.items.append(_Item(where, prefix, times[0], times[1], labels, reason, attributes or {}))

    def finish(
        self,
        *,
        dataset: str,
        source: Source,
        vocabularies: Mapping[str, Sequence[str]] | None = None,
    ) -> AnnotationSet:
        """Check everything and return the annotation set, in canonical order.

        Parameters
        ----------
        dataset : str
            Name of the dataset.
        source : Source
            See `describe_source`; notes of the report are added to it.
        vocabularies : mapping, optional
            Class names by vocabulary; None: those found, sorted.

        Raises
        ------
        AnnotationError
            Listing every error.
        """
        if vocabularies is None:
            vocabularies = self._found_vocabularies()
        classes = {name: frozenset(labels) for name, labels in vocabularies.items()}
        without = {"duration": 0, "split": 0}
        videos = {}
        for video_id, facts in self._videos.items():
            stated = dict(facts.stated)
            if "split" not in stated:
                stated["split"] = DEFAULT_SPLIT
                without["split"] += 1
            if "duration" not in stated:
                duration_s = max((item.end_s for item in facts.items), default=0.0)
                if duration_s <= 0:
                    self._refuse_timeless(video_id, facts, classes)
                    continue
                stated["duration"] = duration_s
                without["duration"] += 1
            videos[video_id] = self._video(video_id, facts, stated, classes)
        if not self._videos and not self._faults:
            self._faults.append("no video in " + ", ".join(file.name for file in source.files))
        if self._faults:
            raise AnnotationError(list_errors(self._faults))
        if without["duration"]:
            self._report.note(
                f"the duration of {without['duration']} videos is not stated: taken from the end of their last segment"
            )
        if without["split"]:
            self._report.note(f"the split of {without['split']} videos is not stated: taken as {DEFAULT_SPLIT!r}")
        notes = [*source.notes, *self._report.notes]
        document = {
            "dataset": dataset,
            "source": {**source.model_dump(), "notes": notes},
            "vocabularies": {name: list(labels) for name, labels in vocabularies.items()},
            "videos": videos,
        }
        files = ", ".join(file.name for file in source.files)
        return validate(AnnotationSet, ordered(document), source=files, error=AnnotationError)

    def _found_vocabularies(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {ACTION: set()}
        for facts in self._videos.values():
            for item in facts.items:
                for vocabulary, label in (item.labels or {}).items():
                    found.setdefault(vocabulary, set()).add(label)
        if len(found) > 1 and not found[ACTION]:
            del found[ACTION]
        return {name: sorted(labels) for name, labels in found.items()}

    def _video(
        self, video_id: str, facts: _Facts, stated: dict[str, Any], classes: Mapping[str, frozenset[str]]
    ) -> dict[str, Any]:
        labelled = [item for item in facts.items if item.labels is not None]
        if facts.no_action_at is not None and labelled:
            text = f"said to have no action, but {labelled[0].where} gives it a segment"
            self.error(facts.no_action_at, text, video_id=video_id)
        kept = [item for item in facts.items if self._is_sound(video_id, item, stated["duration"], classes)]
        segments = [
            {"start": item.start_s, "end": item.end_s, "labels": item.labels, "attributes": item.attributes}
            for item in kept
            if item.labels is not None
        ]
        ignored = [
            {"start": item.start_s, "end": item.end_s, "reason": item.reason} for item in kept if item.labels is None
        ]
        if labelled and not segments:
            self._report.change(
                "video", video_id, facts.where, "all its segments were dropped: it counts as without action"
            )
        optional = {name: stated.get(name) for name in ("fps", "frames", "path")}
        return {
            "split": stated["split"],
            "duration": stated["duration"],
            **optional,
            "attributes": facts.attributes,
            "segments": segments if facts.annotated else None,
            "ignored": ignored,
        }

    def _is_sound(self, video_id: str, item: _Item, duration_s: float, classes: Mapping[str, frozenset[str]]) -> bool:
        """Say whether an item can be kept, mending its times if that is the policy."""
        if self._mend:
            self._clip(video_id, item, duration_s)
        error = time_error(item.start_s, item.end_s, duration_s)
        if error is not None:
            name, text = error
            found = item.start_s if name == "start" else item.end_s
            self._problem(item.kind, video_id, item.where, f"{item.prefix}{name}: {text}, found {found!r}")
            return False
        for vocabulary, label in (item.labels or {}).items():
            if label not in classes.get(vocabulary, ()):
                text = f"{item.prefix}label: not in the vocabulary {vocabulary!r}, found {label!r}"
                self._problem(item.kind, video_id, item.where, text)
                return False
        return True

    def _clip(self, video_id: str, item: _Item, duration_s: float) -> None:
        start_s = max(item.start_s, 0.0)
        is_beyond = item.end_s > duration_s + DURATION_TOLERANCE_S
        end_s = duration_s if is_beyond else item.end_s
        if (start_s, end_s) != (item.start_s, item.end_s) and start_s < end_s and item.start_s < item.end_s:
            text = f"[{item.start_s!r}, {item.end_s!r}) clipped to [{start_s!r}, {end_s!r}), the time of the video"
            place = item.prefix.removesuffix(".")
            self._report.change(item.kind, video_id, item.where, f"{place}: {text}" if place else text)
            item.start_s, item.end_s = start_s, end_s

    def _problem(self, kind: Kind, video_id: str, where: str, text: str) -> None:
        if self._mend:
            self._report.drop(kind, video_id, where, text)
        else:
            self.error(where, text, video_id=video_id)

    def _refuse_timeless(self, video_id: str, facts: _Facts, classes: Mapping[str, frozenset[str]]) -> None:
        """Report a video without duration, and with no segment that ends after 0 to tell it."""
        for item in facts.items:
            self._is_sound(video_id, item, math.inf, classes)
        if self._mend or not (facts.items or video_id in self._faulty):
            text = "duration: not stated, and there is no segment to tell it"
            self._problem("video", video_id, facts.where, text)


def as_number(value: object) -> float | None:
    """Return a finite number as a float, or None if it is anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def number_from_text(text: str) -> float | str:
    """Return the number that a text says, or the text itself if it says none."""
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, with or without a byte order mark, or a UTF-16 one with its mark.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is neither.
    """
    try:
        with path.open("rb") as file:
            is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return path.read_text(encoding="utf-16" if is_utf16 else "utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not UTF-8 text: {error}", hint="Save the file as UTF-8.") from None


def describe_source(files: Iterable[Path], *, converter: str) -> Source:
    """Return the record of the files that were converted: names and checksums, sorted."""
    records = sorted({(path.name, sha256_of(path)) for path in files})
    return Source(
        files=[SourceFile(name=name, sha256=digest) for name, digest in records],
        converter=converter,
        asl_kit=__version__,
    )
