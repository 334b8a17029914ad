"""What is known of a published dataset before its files are opened: one TOML file each, in `manifests/`.

A manifest holds facts only: class names in the order of the literature, splits,
tIoU thresholds, how many videos and segments there must be, which videos are
left out by convention and why, the licence and the home page.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from asl_kit.base.validation import StrictModel, raise_errors
from asl_kit.errors import ManifestError


class SplitRoles(StrictModel):
    """Which of the dataset's own splits plays which part."""

    train: str
    """Split that models are trained on."""
    evaluate: str
    """Split that results are reported on."""
    held_out: str | None = None
    """Split whose labels are withheld."""


class ExpectedCounts(StrictModel):
    """What the publisher says that a split holds; None: not known, and not checked."""

    videos: Annotated[int, Field(ge=0)] | None = None
    segments: Annotated[int, Field(ge=0)] | None = None
    ignored: Annotated[int, Field(ge=0)] | None = None
    annotated: bool = True
    """False: the labels of this split are withheld, so an empty list means not annotated."""


class Exclusion(StrictModel):
    """A video that results in the literature leave out."""

    video: str
    split: str
    reason: str


class FeatureSet(StrictModel):
    """Features of the dataset that people pass around, and where in time each lies.

    Feature i looks at frames ``[i * stride_frames, i * stride_frames + window_frames)`` of the video
    at `fps`, `offset_s` seconds later.
    """

    title: str
    """Backbone, what it was trained on, and who publishes the features."""
    source: str
    """Where the figures below are stated: a page, or a configuration file and its commit."""
    dimensions: Annotated[int, Field(gt=0)]
    """Values per feature, D."""
    window_frames: Annotated[int, Field(gt=0)]
    stride_frames: Annotated[int, Field(gt=0)]
    fps: Annotated[float, Field(gt=0)] | None = None
    """Frame rate of the frames counted above; None: each video's own."""
    offset_s: float = 0.0
    """Time at which the first window starts."""
    resized_to: Annotated[int, Field(gt=0)] | None = None
    """Number of features that every video was resized to, from its begin to its end; None: not resized."""
    prefix: str = ""
    """What a file's name has before the video's id."""
    suffix: str = ""
    """What a file's name has between the video's id and the extension."""
    backbones: tuple[str, ...] = ()
    """Backbones of asl-kit that make such features, one store each; none: it has no such network or weights."""
    flow: str = ""
    """Method of optical flow for those backbones that look at flow."""
    extraction_notes: tuple[str, ...] = ()
    """How features that asl-kit extracts may differ from the published ones."""
    notes: tuple[str, ...] = ()


Protocol = Literal["activitynet", "thumos14", "multithumos", "charades", "proposals", "ego4d-mq", "epic-kitchens"]
"""How results are scored: the official tool of which dataset."""


class Manifest(StrictModel):
    """The facts of one dataset."""

    name: str
    title: str
    home: str
    licence: str
    aliases: tuple[str, ...] = ()
    """Other names that `asl-kit convert` knows the dataset by."""
    splits: SplitRoles
    tiou_thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...]
    """Temporal IoU at which average precision is reported."""
    protocol: Protocol
    """How results are scored unless another way is asked for."""
    other_protocols: tuple[Protocol, ...] = ()
    """Other ways in which results on it are published."""
    vocabularies: dict[str, list[str]] = Field(default_factory=dict)
    """Class names; a class's place in its list is its id. Empty: the names are those of the source."""
    expected_classes: dict[str, int] = Field(default_factory=dict)
    """Number of classes by vocabulary, where the names are those of the source."""
    expected: dict[str, ExpectedCounts]
    subsets: dict[str, str] = Field(default_factory=dict)
    """Split by what JSON files that people have of the dataset call it, where that is another name."""
    exclusions: tuple[Exclusion, ...] = ()
    features: dict[str, FeatureSet] = Field(default_factory=dict)
    """Feature sets in common use, by name."""
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _facts_agree(self) -> Manifest:
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
            errors.append((("tiou_thresholds",), "must be one or more values that rise", thresholds))
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
