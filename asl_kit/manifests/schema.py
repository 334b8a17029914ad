"""Facts of a published dataset, in a TOML file in `manifests/`.

A manifest contains class names in the order of the literature, splits,
tIoU thresholds, expected numbers of videos and segments, videos that are
excluded by convention, the licence and the home page.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from asl_kit.base.validation import StrictModel, raise_errors
from asl_kit.errors import ManifestError


class SplitRoles(StrictModel):
    """The role of the dataset's splits."""

    train: str
    """The split for training."""
    evaluate: str
    """The split that results are reported on."""
    held_out: str | None = None
    """The split whose labels are withheld."""


class ExpectedCounts(StrictModel):
    """Counts of a split that its publisher states; None: unknown, and not checked."""

    videos: Annotated[int, Field(ge=0)] | None = None
    segments: Annotated[int, Field(ge=0)] | None = None
    ignored: Annotated[int, Field(ge=0)] | None = None
    annotated: bool = True
    """False: the labels of this split are withheld, and an empty list means that a video is not annotated."""


class Exclusion(StrictModel):
    """A video that results in the literature exclude."""

    video: str
    split: str
    reason: str


class FeatureSet(StrictModel):
    """Published features of the dataset, and their times.

    The window of feature i is frames ``[i * stride_frames, i * stride_frames + window_frames)`` of the video
    at `fps`, shifted by `offset_s` seconds.
    """

    title: str
    """Backbone, its training data, and the publisher of the features."""
    source: str
    """The source of the values below: a page, or a configuration file and its commit."""
    dimensions: Annotated[int, Field(gt=0)]
    """Values per feature, D."""
    window_frames: Annotated[int, Field(gt=0)]
    stride_frames: Annotated[int, Field(gt=0)]
    fps: Annotated[float, Field(gt=0)] | None = None
    """Frame rate at which windows and strides are counted; None: each video's own rate."""
    offset_s: float = 0.0
    """Start of the first window, in seconds."""
    resized_to: Annotated[int, Field(gt=0)] | None = None
    """Number of features that every video was resized to over its whole duration; None: not resized."""
    prefix: str = ""
    """Prefix of the video's id in file names."""
    suffix: str = ""
    """Suffix of the video's id in file names, before the extension."""
    backbones: tuple[str, ...] = ()
    """Backbones of asl-kit that extract such features, one store each; empty if it has no such network or weights."""
    flow: str = ""
    """Method of optical flow for backbones with flow input."""
    extraction_notes: tuple[str, ...] = ()
    """Possible differences between features that asl-kit extracts and the published ones."""
    notes: tuple[str, ...] = ()


Protocol = Literal["activitynet", "thumos14", "multithumos", "charades", "proposals", "ego4d-mq", "epic-kitchens"]
"""Scoring protocols, named after the dataset of the official tool."""


class Manifest(StrictModel):
    """The facts of one dataset."""

    name: str
    title: str
    home: str
    licence: str
    aliases: tuple[str, ...] = ()
    """Other names of the dataset that `asl-kit convert` accepts."""
    splits: SplitRoles
    tiou_thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...]
    """Temporal IoU thresholds at which average precision is reported."""
    protocol: Protocol
    """The default protocol."""
    other_protocols: tuple[Protocol, ...] = ()
    """Other protocols in which results are published."""
    vocabularies: dict[str, list[str]] = Field(default_factory=dict)
    """Class names by vocabulary, in order of their ids. Empty: the names are those of the source."""
    expected_classes: dict[str, int] = Field(default_factory=dict)
    """Number of classes by vocabulary, if the names are those of the source."""
    expected: dict[str, ExpectedCounts]
    subsets: dict[str, str] = Field(default_factory=dict)
    """Split by its name in JSON files of the dataset, where that differs."""
    exclusions: tuple[Exclusion, ...] = ()
    features: dict[str, FeatureSet] = Field(default_factory=dict)
    """Published feature sets, by name."""
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_consistency(self) -> Manifest:
        errors: list[tuple[tuple[str | int, ...], str, object]] = []
        for name, classes in self.vocabularies.items():
            repeated = sorted({label for label in classes if classes.count(label) > 1})
            errors += [(("vocabularies", name), "a class name appears twice", label) for label in repeated]
            if not classes:
                errors.append((("vocabularies", name), "must name at least one class", classes))
        if bool(self.vocabularies) == bool(self.expected_classes):
            errors.append((("vocabularies",), "give either the names of the classes or expected_classes", []))
        known = ", ".join(self.expected)
        for role in ("train", "evaluate", "held_out"):
            split = getattr(self.splits, role)
            if split is not None and split not in self.expected:
                errors.append((("splits", role), f"must be a split with expected counts ({known})", split))
        for number, exclusion in enumerate(self.exclusions):
            if exclusion.split not in self.expected:
                errors.append((("exclusions", number, "split"), f"must be one of {known}", exclusion.split))
        for name, split in self.subsets.items():
            if split not in self.expected:
                errors.append((("subsets", name), f"must be one of {known}", split))
        thresholds = list(self.tiou_thresholds)
        if not thresholds or thresholds != sorted(set(thresholds)):
            errors.append((("tiou_thresholds",), "must be one or more increasing values", thresholds))
        raise_errors("Manifest", errors)
        return self

    @property
    def classes(self) -> list[str]:
        """Class names of the only vocabulary.

        Raises
        ------
        ManifestError
            If the dataset has several vocabularies.
        """
        if len(self.vocabularies) > 1:
            names = ", ".join(self.vocabularies)
            raise ManifestError(f"manifest {self.name}: several vocabularies ({names}); name one")
        return next(iter(self.vocabularies.values()))
