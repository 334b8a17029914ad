"""The unified annotation format, version 1: the contents of a file, validated on construction."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from asl_kit.annotations.validation import semantic_errors
from asl_kit.base.similar_names import close_matches
from asl_kit.base.validation import StrictModel, raise_errors
from asl_kit.errors import AnnotationError

FORMAT: Final = "asl-kit/annotations"
VERSION: Final = 1
SPLIT_SEPARATOR: Final = ","
"""Joins the names of several splits that are used together."""

Name = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0)]


class _Record(StrictModel):
    model_config = ConfigDict(strict=True, json_schema_serialization_defaults_required=True)  # "1.5" is not a number


class Segment(_Record):
    """One action: [start, end) in seconds, with a class name for each vocabulary that has a class for it."""

    start: Seconds
    end: Seconds
    labels: Annotated[dict[str, str], Field(min_length=1)]
    """Class name by vocabulary: `{"action": "Diving"}`, or `{"verb": "wash", "noun": "cup"}`."""
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    """Other facts of the source about the segment."""


class IgnoredSegment(_Record):
    """A span of time, [start, end) in seconds, that counts neither as action nor as background."""

    start: Seconds
    end: Seconds
    reason: str


class Video(_Record):
    """One video and its segments."""

    split: Name
    duration: Annotated[float, Field(gt=0)]
    """Length in seconds."""
    fps: Annotated[float, Field(gt=0)] | None = None
    """Frames per second; None: unknown."""
    frames: Annotated[int, Field(gt=0)] | None = None
    """Number of frames; None: unknown."""
    path: str | None = None
    """The video file, relative to the user's folder of videos; None: the name of the file is the id."""
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    """Other facts of the source about the video."""
    segments: list[Segment] | None
    """Empty: annotated, without actions. None: not annotated."""
    ignored: list[IgnoredSegment] = Field(default_factory=list)


class SourceFile(_Record):
    """A file that was converted."""

    name: str
    sha256: str


class Source(_Record):
    """The origin of annotations."""

    files: list[SourceFile] = Field(default_factory=list)
    converter: str
    asl_kit: str
    """Version of asl-kit that converted them."""
    notes: list[str] = Field(default_factory=list)
    """Decisions of the conversion, for people to read."""


class AnnotationSet(_Record):
    """The annotations of a dataset.

    Besides types, validation checks consistency (`asl_kit.annotations.validation`):
    segments end after they start and within their video, and labels are in
    their vocabulary.

    Raises
    ------
    pydantic.ValidationError
        Lists every error with its place.
    """

    format: Literal["asl-kit/annotations"] = FORMAT
    version: Literal[1] = VERSION
    dataset: Name
    source: Source
    vocabularies: Annotated[dict[str, list[Name]], Field(min_length=1)]
    """Class names in order of their ids, by vocabulary."""
    videos: dict[Name, Video]

    @model_validator(mode="after")
    def _check_consistency(self) -> AnnotationSet:
        raise_errors("AnnotationSet", semantic_errors(self.vocabularies, self.videos))
        return self

    def by_split(self) -> dict[str, dict[str, Video]]:
        """Return the videos by split and id, with the splits sorted."""
        splits: dict[str, dict[str, Video]] = {}
        for video_id, video in self.videos.items():
            splits.setdefault(video.split, {})[video_id] = video
        return dict(sorted(splits.items()))

    def split(self, name: str) -> dict[str, Video]:
        """Return the videos of one split, or of several, by id.

        Parameters
        ----------
        name : str
            A split, or several joined by commas: ``train,validation``.

        Raises
        ------
        AnnotationError
            If no video is in such a split; the message lists the splits.
        """
        splits = self.by_split()
        names = [name] if name in splits else [part.strip() for part in name.split(SPLIT_SEPARATOR)]
        for one in names:
            if one not in splits:
                found = ", ".join(splits) or "none"
                raise AnnotationError(f"dataset {self.dataset}: no video in split {one!r}; the splits are: {found}")
        return {video_id: video for one in names for video_id, video in splits[one].items()}

    def classes(self, vocabulary: str | None = None) -> list[str]:
        """Return the class names of a vocabulary; see `vocabulary`."""
        return self.vocabularies[self.vocabulary(vocabulary)]

    def vocabulary(self, name: str | None = None) -> str:
        """Return the name of a vocabulary that exists; None: of the only one.

        Raises
        ------
        AnnotationError
            If there is no such vocabulary, or None is given and there are several.
        """
        names = ", ".join(self.vocabularies)
        if name is None:
            if len(self.vocabularies) > 1:
                raise AnnotationError(
                    f"dataset {self.dataset}: several vocabularies ({names})",
                    hint="Name one of them with --vocabulary NAME.",
                )
            return next(iter(self.vocabularies))
        if name not in self.vocabularies:
            close = close_matches(name, self.vocabularies)
            raise AnnotationError(
                f"dataset {self.dataset}: no vocabulary {name!r}; there are: {names}",
                hint=f"Did you mean {close[0]!r}?" if close else None,
            )
        return name


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format, for other programs; it describes types, but not consistency."""
    schema = AnnotationSet.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"{FORMAT} version {VERSION}",
    }
