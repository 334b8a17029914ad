"""How predictions are scored: the options of ``asl-kit eval``, ``report``, ``diagnose`` and ``compare``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

from asl_evaluate.coverage import GridCoverage
from asl_evaluate.protocols import find_protocol
from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.task import Duplicates, Task
from asl_evaluate.tiou import parse_thresholds
from asl_evaluate.video_scores import DEFAULT_TOP_K
from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.dataset.default_splits import evaluation_split
from asl_kit.detections.table import Detections
from asl_kit.errors import UsageError
from asl_kit.manifests.files import default_tiou_thresholds, find_manifest

DEFAULT_PROTOCOL = "activitynet"
EVALUATION_SPLITS = ("test", "validation", "val")


@dataclass(frozen=True)
class ScoringOptions:
    """How predictions are read and scored. Most defaults depend on the dataset and are taken from its manifest.

    Parameters
    ----------
    split : str, optional
        The split to score, or several joined by commas. Default: the manifest's evaluation split, else the first of
        test, validation and val.
    tiou : str or sequence of float, optional
        tIoU thresholds in (0, 1], or ``LO:HI:STEP``. Default: the protocol's, else the manifest's, else 0.3 to 0.7.
    duplicates : {"keep", "drop"}
        Whether duplicate ground-truth segments and segments under 1 ms count (official), or not (ActionFormer,
        OpenTAD).
    protocol : str, optional
        One of `asl_evaluate.protocols.protocol_names`. Default: the manifest's, else activitynet.
    vocabulary : str, optional
        The labels to score. Required if there are several vocabularies, unless the protocol scores them together.
    class_agnostic : bool
        Treat all classes as one.
    video_scores : path, optional
        Scores of whole videos, which name the classes: see `asl_evaluate.video_score_files`.
    top_k : int
        Number of classes that each detection gets from `video_scores`.
    table : TableOptions
        Columns and encoding of predictions that are tables, where they are not known by themselves.

    Raises
    ------
    UsageError
        If a value is out of range, or options conflict.
    """

    split: str | None = None
    tiou: str | Sequence[float] | None = None
    duplicates: Duplicates = "keep"
    protocol: str | None = None
    vocabulary: str | None = None
    class_agnostic: bool = False
    video_scores: str | Path | None = None
    top_k: int = DEFAULT_TOP_K
    table: TableOptions = DEFAULT_TABLE

    def __post_init__(self) -> None:
        if self.duplicates not in get_args(Duplicates):
            raise UsageError(f"duplicates: expected 'keep' or 'drop', found '{self.duplicates}'")
        by_frame = self.protocol is not None and find_protocol(self.protocol).by_frame
        if self.tiou is not None:
            parse_thresholds(self.tiou)
            if by_frame:
                raise UsageError(
                    f"protocol {self.protocol} scores moments: it has no tIoU thresholds", hint="leave out --tiou"
                )
        if self.class_agnostic and self.video_scores is not None:
            raise UsageError("scores of videos name classes, which a class-agnostic evaluation ignores")
        if self.top_k < 1:
            raise UsageError(f"top_k: expected 1 or more, found {self.top_k}")

    def changed(self) -> list[str]:
        """Return the names of the options for scores that differ from their defaults."""
        scoring = (field for field in fields(self) if field.name != "table")
        return [field.name for field in scoring if getattr(self, field.name) != field.default]

    def protocol_for(self, dataset: str) -> Protocol:
        """Return the protocol for a dataset."""
        manifest = find_manifest(dataset)
        return find_protocol(self.protocol or (manifest.protocol if manifest else DEFAULT_PROTOCOL))

    def tiou_thresholds(self, dataset: str) -> tuple[float, ...]:
        """Return the tIoU thresholds for a dataset."""
        tiou = self.tiou if self.tiou is not None else self.protocol_for(dataset).tiou
        return parse_thresholds(tiou) if tiou is not None else default_tiou_thresholds(dataset)

    def split_of(self, annotations: AnnotationSet) -> str:
        """Return the split to score.

        Raises
        ------
        AnnotationError
            If there is no split of that name. The message lists those that exist.
        UsageError
            If no split is named and none is known as the evaluation split.
        """
        if self.split is not None:
            annotations.split(self.split)
            return self.split
        split = evaluation_split(annotations, EVALUATION_SPLITS)
        if split is None:
            raise UsageError(
                f"dataset {annotations.dataset}: which split? There are: {', '.join(annotations.by_split()) or 'none'}",
                hint="name one with --split",
            )
        return split

    def task(self, detections: Detections, annotations: AnnotationSet, *, grid: GridCoverage | None = None) -> Task:
        """Return the task of scoring detections, with all defaults filled in.

        Parameters
        ----------
        detections : Detections
            Detections in any videos, with any classes of the vocabulary.
        annotations : AnnotationSet
            Ground truth.
        grid : GridCoverage, optional
            What the features leave out, if they are known.

        Raises
        ------
        AnnotationError, UsageError
            As `split_of`.
        """
        return Task(
            detections=detections,
            annotations=annotations,
            split=self.split_of(annotations),
            tiou_thresholds=self.tiou_thresholds(annotations.dataset),
            duplicates=self.duplicates,
            vocabulary=self.vocabulary,
            class_agnostic=self.class_agnostic,
            grid=grid,
        )


DEFAULTS = ScoringOptions()
