"""The check of a predictions file against annotations, and the mended file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from asl_evaluate.epic_actions import VOCABULARIES, action_label, read_actions
from asl_evaluate.prediction_check import NAMES_SHOWN, Finding, PredictionCheck, check_predictions, mend
from asl_kit.annotations import read_annotations
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.console import warn
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections
from asl_kit.errors import UsageError, first_few


@dataclass(frozen=True)
class Mended:
    """What was changed in a mended file."""

    path: Path
    times: int
    """Segments whose times were converted to seconds."""
    videos: Mapping[str, str]
    """The new id by old id."""
    labels: Mapping[str, str]
    """The new class name by old name."""
    left: tuple[Finding, ...]
    """What could not be mended."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "path": str(self.path),
            "times": self.times,
            "videos": dict(self.videos),
            "labels": dict(self.labels),
            "left": [finding.to_json() for finding in self.left],
        }


@dataclass(frozen=True)
class FileCheck:
    """The result of the check of a file."""

    path: Path
    videos: int
    segments: int
    check: PredictionCheck
    mended: Mended | None = None
    """None: no mended file was written."""

    @property
    def left(self) -> tuple[Finding, ...]:
        """The findings that remain in the mended file, or else in the file."""
        return self.check.findings if self.mended is None else self.mended.left

    @property
    def is_clean(self) -> bool:
        """Whether only remarks are left."""
        return all(finding.severity == "remark" for finding in self.left)

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit check --json`` writes."""
        return {
            "predictions": str(self.path),
            "videos": self.videos,
            "segments": self.segments,
            "unit": self.check.unit or "seconds",
            "findings": [finding.to_json() for finding in self.check.findings],
            "mended": None if self.mended is None else self.mended.to_json(),
        }


def check_file(
    predictions: Path,
    annotations: Path,
    *,
    split: str | None = None,
    vocabulary: str | None = None,
    output: Path | None = None,
    table: TableOptions = DEFAULT_TABLE,
) -> FileCheck:
    """Compare a predictions file with annotations, and write a mended file if `output` is given.

    Parameters
    ----------
    predictions : Path
        ActivityNet detection JSON, a table (``.csv``), or the JSON of EPIC-KITCHENS-100's challenge.
    annotations : Path
        Unified annotations.
    split : str, optional
        The split that the predictions are for. Default: all videos.
    vocabulary : str, optional
        The vocabulary of the labels. Default: the only one, or pairs of a verb and a noun.
    output : Path, optional
        Where to write the predictions with what can be mended with certainty, as ActivityNet detection JSON. All
        segments are kept.
    table : TableOptions
        Columns and encoding of predictions that are a table.

    Raises
    ------
    AslKitError
        As `read_annotations`, `read_predictions` and `read_actions`.
    UsageError
        If `output` is a table.
    OutputError
        If the file cannot be written.
    """
    if output is not None and output.suffix.lower() == ".csv":
        raise UsageError(f"{output}: a mended file is JSON", hint=f"for example -o {output.with_suffix('.json')}")
    annotation_set = read_annotations(annotations)
    if split is not None:
        annotation_set.split(split)
    if vocabulary is None and set(VOCABULARIES) <= annotation_set.vocabularies.keys():
        verbs, nouns = (annotation_set.classes(name) for name in VOCABULARIES)
        classes = [action_label(verb, noun) for verb in verbs for noun in nouns]
        detections = read_actions([predictions], verbs, nouns, table)
    else:
        classes = annotation_set.classes(vocabulary)
        detections = read_predictions(predictions, table)

    def check(predicted: Detections) -> PredictionCheck:
        return check_predictions(predicted, annotation_set, split=split, classes=classes)

    found = check(detections)
    mended = None
    if output is not None:
        corrected = mend(detections, found)
        write_predictions(output, corrected)
        times = 0
        if found.units_per_second is not None:
            times = int(np.count_nonzero(~np.isnan(found.units_per_second)[detections.video]))
        mended = Mended(output, times, found.videos, found.labels, check(corrected).findings)
    return FileCheck(predictions, len(detections.video_ids), len(detections), found, mended)


def print_check(result: FileCheck, console: Console) -> None:
    """Print what was found, what was mended and what is left."""
    console.print(f"{result.path}: {result.videos:,} videos, {result.segments:,} segments")
    _print_findings(result.check.findings, console)
    if result.mended is None:
        if any(finding.is_mendable for finding in result.check.findings):
            console.print("-o FILE writes a mended file")
        return
    mended = result.mended
    if mended.times:
        console.print(f"mended: {mended.times:,} segments from {result.check.unit} to seconds")
    for noun, names in (("video id", mended.videos), ("class name", mended.labels)):
        if names:
            shown = first_few([f"'{old}' to '{new}'" for old, new in names.items()], NAMES_SHOWN)
            plural = "" if len(names) == 1 else "s"
            console.print(f"mended: {len(names):,} {noun}{plural}: {shown}")
    if not (mended.times or mended.videos or mended.labels):
        console.print("nothing was mended")
    if mended.left and result.check.findings != mended.left:
        console.print(f"left in {mended.path}:")
        _print_findings(mended.left, console)
    console.print(f"wrote {mended.path}: {result.segments:,} segments")


def _print_findings(findings: tuple[Finding, ...], console: Console) -> None:
    for finding in findings:
        warn(console, finding.message, what=finding.severity)
        if finding.hint:
            console.print(f"hint: {finding.hint}")
    if not findings:
        console.print("nothing wrong was found")
