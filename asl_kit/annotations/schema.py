"""The unified annotation format, version 1: what a file holds, checked on construction."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from asl_kit.annotations.validation import semantic_errors
from asl_kit.base.validation import StrictModel, raise_errors
from asl_kit.errors import AnnotationError

FORMAT: Final = "asl-kit/annotations"
VERSION: Final = 1

Name = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0)]


class _Record(StrictModel):
    model_config = ConfigDict(strict=True, json_schema_serialization_defaults_required=True)  # "1.5" is no number


class Segment(_Record):
    """One action: [start, end) in seconds, with a class name for each vocabulary that it has."""

    start: Seconds
    end: Seconds
    labels: Annotated[dict[str, str], Field(min_length=1)]
    """Class name by vocabulary: `{"action": "Diving"}`, or `{"verb": "wash", "noun": "cup"}`."""
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    """Whatever else the source says of the segment."""


class IgnoredSegment(_Record):
    """A stretch of time, [start, end) in seconds, that counts neither as action nor as background."""

    start: Seconds
    end: Seconds
    reason: str


class Video(_Record):
    """One video and what happens in it."""

    split: Name
    duration: Annotated[float, Field(gt=0)]
    """Length in seconds."""
    fps: Annotated[float, Field(gt=0)] | None = None
    """Frames per second; None: not known."""
    frames: Annotated[int, Field(gt=0)] | None = None
    """Number of frames; None: not known."""
    path: str | None = None
    """The video file, relative to the user's folder of videos; None: named like the id."""
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    """Whatever else the source says of the video."""
    segments: list[Segment] | None
    """Empty: annotated, and no action found. None: not annotated."""
    ignored: list[IgnoredSegment] = Field(default_factory=list)


class SourceFile(_Record):
    """A file that was converted."""

    name: str
    sha256: str


class Source(_Record):
    """Where annotations come from."""

    files: list[SourceFile] = Field(default_factory=list)
    converter: str
    asl_kit: str
    """Version of asl-kit that converted them."""
    notes: list[str] = Field(default_factory=list)
    """What was decided on the way, for people to read."""


class AnnotationSet(_Record):
    """The annotations of a dataset.

    Besides its types, a set checks its meaning (`asl_kit.annotations.validation`):
    segments end after they start and within their video, labels are in
    their vocabulary.

    Raises
    ------
    pydantic.ValidationError
        Listing every error with its place.
    """

    format: Literal["asl-kit/annotations"] = FORMAT
    version: Literal[1] = VERSION
    dataset: Name
    source: Source
    vocabularies: Annotated[dict[str, list[Name]], Field(min_length=1)]
    """Class names in order of their ids, by vocabulary."""
    videos: dict[Name, Video]

    @model_validator(mode="after")
    def _has_meaning(self) -> AnnotationSet:
        raise_errors("AnnotationSet", semantic_errors(self.vocabularies, self.videos))
        return self

    def split(self, name: str) -> dict[str, Video]:
        """Return the videos of one split, by id.

        Raises
        ------
        AnnotationError
            If no video is in this split; the message lists the splits there are.
        """
        videos = {video_id: video for video_id, video in self.videos.items() if video.split == name}
        if not videos:
            found = ", ".join(sorted({video.split for video in self.videos.values()})) or "none"
            raise AnnotationError(f"dataset {self.dataset}: no video in split {name!r}; splits there are: {found}")
        return videos

    def classes(self, vocabulary: str | None = None) -> list[str]:
        """Return the class names of one vocabulary; None: of the only one.

        Raises
        ------
        AnnotationError
            If there is no such vocabulary, or None is given and there are several.
        """
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
                    f"dataset {self.dataset}: several vocabularies ({names})", hint="Name one of them."
                )
            return next(iter(self.vocabularies))
        if name not in self.vocabularies:
            raise AnnotationError(f"dataset {self.dataset}: no vocabulary {name!r}; there are: {names}")
        return name


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format, for other programs; it knows the types, not the meaning."""
    schema = AnnotationSet.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"{FORMAT} version {VERSION}",
    }
