"""What all converters share: they pass on what they read, and get a valid annotation set.

The collector checks every item in the same way, so a converter only has to know its layout. There are two policies:

- refuse (users' own data): all errors are listed in one message, and nothing is written;
- mend (published data, which users cannot correct): a segment that ends after its video is
  clipped, a segment that cannot be corrected is dropped, and the report lists both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from asl_kit import __version__
from asl_kit.annotations.io import ordered
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport, Kind
from asl_kit.annotations.schema import AnnotationSet, Source, SourceFile
from asl_kit.annotations.text_lines import read_text as read_text  # converters of other packages import it from here
from asl_kit.annotations.time_units import Span, unit_hint, unit_note
from asl_kit.annotations.validation import DURATION_TOLERANCE_S, time_error
from asl_kit.base.files import sha256_of
from asl_kit.base.validation import list_errors, validate
from asl_kit.errors import AnnotationError, first_few
from asl_kit.manifests.schema import Manifest

ACTION = "action"
"""Name of the vocabulary of a dataset that has only one."""
DEFAULT_SPLIT = "train"
NO_VALUE: Final = frozenset(
    ("nan", "NaN", "NAN", "-nan", "-NaN", "<NA>", "NA", "N/A", "n/a", "#N/A", "#NA", "NULL", "null", "None", "NaT")
)
"""What programs write for an empty cell: the words that pandas' `read_csv` takes for one, and its `NaT`."""


class VideoFields(TypedDict, total=False):
    """What a source states about a video, as in `asl_kit.annotations.schema.Video`; None: not stated."""

    split: str | None
    duration: float | None
    fps: float | None
    frames: int | None
    path: str | None
    attributes: Mapping[str, Any] | None


@dataclass(slots=True)
class _Item:
    """A segment as it was read; `labels` is None for an ignored segment."""

    where: str
    prefix: str
    start_s: float
    end_s: float
    labels: dict[str, str] | None
    reason: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    point_s: float | None = None
    """The point in time that it is the window around."""

    @property
    def kind(self) -> Kind:
        return "ignored" if self.labels is None else "segment"


@dataclass(slots=True)
class _Facts:
    """What is known about a video so far."""

    where: str
    stated: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    items: list[_Item] = field(default_factory=list)
    annotated: bool = False
    no_action_at: str | None = None


def as_number(value: object) -> float | None:
    """Return a finite number as a float, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def number_from_text(text: str) -> float | str:
    """Return the number that a text holds, or the text itself if it holds none."""
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


class Collector:
    """Collects the videos and segments of a source, and builds an `AnnotationSet` from them.

    Parameters
    ----------
    report : ConversionReport
        Records everything that is read, dropped and changed.
    mend : bool
        True: correct or drop invalid items, and report them. False: refuse them.
    manifest : Manifest, optional
        Facts of the dataset: its classes are those of the result.
    duration_hint : str
        Added to the error of a video without a duration and without segments.
    point_window : PointWindow, optional
        The segment around each point in time. Without one, points are left out.

    Attributes
    ----------
    hint : str or None
        Shown below the errors that `finish` raises.
    """

    def __init__(
        self,
        report: ConversionReport,
        *,
        mend: bool,
        manifest: Manifest | None = None,
        duration_hint: str = "",
        point_window: PointWindow | None = None,
    ) -> None:
        self.report = report
        self.manifest = manifest
        self.point_window = point_window
        self.hint: str | None = None
        self._mend = mend
        self._duration_hint = duration_hint
        self._videos: dict[str, _Facts] = {}
        self._points = 0
        self._errors: list[str] = []
        self._faulty: set[str] = set()

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def error(self, where: str, text: str, *, video_id: str | None = None) -> None:
        """Record an error that makes the source unusable; `finish` raises all errors at once."""
        if video_id is None:
            self._errors.append(f"{where}: {text}")
        else:
            self._errors.append(f"{where}: video {video_id!r}: {text}")
            self._faulty.add(video_id)

    def video(
        self,
        video_id: str,
        where: str,
        *,
        annotated: bool = False,
        **stated: Unpack[VideoFields],
    ) -> None:
        """Record a video, or more facts about one.

        Parameters
        ----------
        video_id, where : str
            The video, and the place that states it: file and line.
        annotated : bool
            Whether it was annotated, with or without actions.
        **stated
            `VideoFields`. A value that contradicts an earlier one is an error.
        """
        facts = self._videos.get(video_id)
        if facts is None:
            facts = self._videos[video_id] = _Facts(where)
            self.report.videos_read += 1
        facts.annotated = facts.annotated or annotated
        attributes = stated.pop("attributes", None) or {}
        fields = {name: value for name, value in stated.items() if value is not None}
        for table, found in ((facts.stated, fields), (facts.attributes, attributes)):
            for name, value in found.items():
                if table.setdefault(name, value) != value:
                    text = f"{name}: {value!r} contradicts {table[name]!r} ({facts.where})"
                    self.error(where, text, video_id=video_id)

    def no_action(self, video_id: str, where: str) -> None:
        """Record that a video, which is already recorded, was annotated and has no action."""
        self._videos[video_id].annotated = True
        self._videos[video_id].no_action_at = where

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
        """Record a segment of a video that is already recorded.

        Parameters
        ----------
        video_id, where : str
            The video, and the place that states the segment: file and line.
        start, end : object
            Seconds as they were read; anything but a finite number is an error.
        labels : dict or None
            Class name by vocabulary; None: an ignored segment.
        reason : str
            Why it is ignored.
        attributes : dict, optional
            Other facts about the segment.
        prefix : str
            Precedes the name of the field in messages: ``annotations.3.``.
        """
        self.report.segments_read += 1
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

    def point(
        self,
        video_id: str,
        where: str,
        *,
        time: object,
        labels: dict[str, str],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a point in time of a video that is already recorded.

        It becomes the segment of the window around it, within the video, with the attribute `point`. Without a window
        it is recorded as left out.

        Parameters
        ----------
        video_id, where
            As those of `segment`.
        time : object
            Seconds as they were read; anything but a finite number is an error.
        labels, attributes
            As those of `segment`.
        """
        if self.point_window is None:
            self.exclude(video_id, where, "a point in time; --point-window makes it a segment")
            return
        time_s = as_number(time)
        if time_s is None:
            self.report.segments_read += 1
            self._problem("segment", video_id, where, f"time: must be a finite number, found {time!r}")
            return
        start_s, end_s = self.point_window.around(time_s)
        stated = {**(attributes or {}), "point": time_s}
        self.segment(video_id, where, start=start_s, end=end_s, labels=labels, attributes=stated)
        self._videos[video_id].items[-1].point_s = time_s
        self._points += 1

    def exclude(self, video_id: str, where: str, reason: str) -> None:
        """Record a segment of the source that is left out because it is not asked for, or is no segment of a class."""
        self.report.segments_read += 1
        self.report.exclude("segment", video_id, where, reason)

    def positive(
        self, where: str, name: str, text: str, *, video_id: str, parse: Callable[[str], object] = number_from_text
    ) -> float | None:
        """Return the number above 0 that a text holds; anything else is an error, and None is returned."""
        number = as_number(parse(text))
        if number is None or number <= 0:
            self.error(where, f"{name}: must be a number above 0, found {text!r}", video_id=video_id)
            return None
        return number

    def finish(
        self,
        files: Iterable[Path],
        *,
        dataset: str,
        converter: str | None = None,
        vocabularies: Mapping[str, Sequence[str]] | None = None,
        source: Source | None = None,
    ) -> AnnotationSet:
        """Check everything and return the annotation set, in canonical order.

        Parameters
        ----------
        files : iterable of Path
            The files that were converted; the annotation set records their names and checksums.
        dataset : str
            Name of the dataset.
        converter : str, optional
            Name of the converter. Default: `dataset`.
        vocabularies : mapping, optional
            Class names by vocabulary. Default: those of the manifest; without them, the labels that were read, sorted.
        source : Source, optional
            The record of the source, in place of one of `files`. Notes of the report are added to it.

        Raises
        ------
        AnnotationError
            Lists every error.
        """
        was_converted = source is not None
        source = source or _describe_source(files, converter or dataset)
        if vocabularies is None:
            vocabularies = self.manifest.vocabularies if self.manifest else self._found_vocabularies()
        classes = {name: frozenset(labels) for name, labels in vocabularies.items()}
        without_duration = 0
        videos = {}
        for video_id, facts in self._videos.items():
            stated = dict(facts.stated)
            if "split" not in stated:
                stated["split"] = DEFAULT_SPLIT
                self.report.without_split.add(video_id)
            if "duration" not in stated:
                duration_s = max((item.end_s for item in facts.items), default=0.0)
                if duration_s <= 0:
                    self._refuse_timeless(video_id, facts, classes)
                    continue
                stated["duration"] = duration_s
                without_duration += 1
            videos[video_id] = self._video(video_id, facts, stated, classes)
        if not self._videos and not self._errors:
            left_out = [item for item in self.report.items if item.kind == "video"]
            why = f": {left_out[0].where}: video {left_out[0].video!r}: {left_out[0].reason}" if left_out else ""
            more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
            self._errors.append("no video in " + ", ".join(file.name for file in source.files) + why + more)
        if self._errors:
            raise AnnotationError(list_errors(self._errors), hint=self.hint or unit_hint(self._spans()))
        if not (self._mend or was_converted):
            self._note_doubts()
        if (window := self.point_window) is not None:
            self.report.note(
                f"{self._points} points in time are segments from {window.before_s:g} s before to {window.after_s:g} s"
                " after them"
            )
        if without_duration:
            self.report.note(
                f"the duration of {without_duration} videos is not stated: taken from the end of their last segment"
            )
        if unstated := self.report.without_split:
            self.report.note(f"the split of {len(unstated)} videos is not stated: taken as {DEFAULT_SPLIT!r}")
        notes = [*source.notes, *self.report.notes]
        document = {
            "dataset": dataset,
            "source": {**source.model_dump(), "notes": notes},
            "vocabularies": {name: list(labels) for name, labels in vocabularies.items()},
            "videos": videos,
        }
        names = ", ".join(file.name for file in source.files)
        return validate(AnnotationSet, ordered(document), source=names, error=AnnotationError)

    def _spans(self) -> list[Span]:
        return [
            Span(item.start_s, item.end_s, facts.stated.get("duration"), facts.stated.get("fps"))
            for facts in self._videos.values()
            for item in facts.items
        ]

    def _note_doubts(self) -> None:
        """Note what is valid, and is still often a mistake in people's own data."""
        if (doubt := unit_note(self._spans())) is not None:
            self.report.note(doubt)
        seen, doubled = set(), []
        for video_id, facts in self._videos.items():
            for item in facts.items:
                labels = tuple(sorted((item.labels or {}).items()))
                key = (video_id, item.start_s, item.end_s, labels)
                if key in seen:
                    named = "+".join(label for _, label in labels)
                    doubled.append(f"{video_id} [{item.start_s:g}, {item.end_s:g}) {named!r}")
                seen.add(key)
        if doubled:
            some = first_few(doubled, 3)
            self.report.note(f"{len(doubled)} segments repeat the times and the label of another one: {some}")

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
            text = f"stated to have no action, but {labelled[0].where} states a segment"
            self.error(facts.no_action_at, text, video_id=video_id)
        kept = [item for item in facts.items if self._is_sound(video_id, item, stated["duration"], classes)]
        if not self._mend:
            for item in kept:
                self.report.places.setdefault((video_id, item.start_s, item.end_s), (item.where, item.prefix))
        segments = [
            {"start": item.start_s, "end": item.end_s, "labels": item.labels, "attributes": item.attributes}
            for item in kept
            if item.labels is not None
        ]
        ignored = [
            {"start": item.start_s, "end": item.end_s, "reason": item.reason} for item in kept if item.labels is None
        ]
        if labelled and not segments:
            self.report.change(
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
        """Return whether an item can be kept; with the policy "mend", clip its times first."""
        if item.point_s is not None and self.point_window is not None:
            item.start_s, item.end_s = self.point_window.around(item.point_s, duration_s)
        if self._mend:
            self._clip(video_id, item, duration_s)
        error = time_error(item.start_s, item.end_s, duration_s)
        if error is not None:
            name, text = error
            found = item.start_s if name == "start" else item.end_s
            around = "" if item.point_s is None else f", around the point {item.point_s!r}"
            self._problem(item.kind, video_id, item.where, f"{item.prefix}{name}: {text}, found {found!r}{around}")
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
            self.report.change(item.kind, video_id, item.where, f"{place}: {text}" if place else text)
            item.start_s, item.end_s = start_s, end_s

    def _problem(self, kind: Kind, video_id: str, where: str, text: str) -> None:
        if self._mend:
            self.report.drop(kind, video_id, where, text)
        else:
            self.error(where, text, video_id=video_id)

    def _refuse_timeless(self, video_id: str, facts: _Facts, classes: Mapping[str, frozenset[str]]) -> None:
        """Report a video without a duration, and without a segment that ends after 0."""
        for item in facts.items:
            self._is_sound(video_id, item, math.inf, classes)
        if self._mend or not (facts.items or video_id in self._faulty):
            text = f"duration: not stated, and there is no segment to tell it{self._duration_hint}"
            self._problem("video", video_id, facts.where, text)


def _describe_source(files: Iterable[Path], converter: str) -> Source:
    records = sorted({(path.name, sha256_of(path)) for path in files})
    return Source(
        files=[SourceFile(name=name, sha256=digest) for name, digest in records],
        converter=converter,
        asl_kit=__version__,
    )
