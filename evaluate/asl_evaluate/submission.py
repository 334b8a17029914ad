"""Files to submit to a benchmark's server, made from predictions and checked against the published format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asl_evaluate.epic_actions import VOCABULARIES, read_actions, split_labels
from asl_evaluate.prediction_check import check_predictions, report_findings
from asl_evaluate.submission_formats import ActivityNet, EpicKitchens, MomentQueries
from asl_evaluate.task import require_known_classes
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.annotations.conversion import converter_of
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.files import write_text
from asl_kit.base.validation import StrictModel, validate
from asl_kit.detections.json_format import read_predictions
from asl_kit.detections.table import Detection, Detections
from asl_kit.errors import AnnotationError, PredictionError, UsageError, error_context, first_few

Rows = Mapping[str, Sequence[Detection]]
"""By video; the highest score first."""
Supervision = tuple[int, int, int]
"""Levels of pre-training, training labels and training data, on the scale of Damen and Wray (arXiv:2008.09890)."""
SUPERVISION_LEVELS = tuple("012345")
ACTIVITYNET_VERSIONS = {"activitynet12": "VERSION 1.2", "activitynet13": "VERSION 1.3"}


@dataclass(frozen=True)
class Submission:
    """What was written, and what was left out."""

    path: Path
    benchmark: str
    split: str
    videos: int
    """Number of videos of the split; all are in the file."""
    videos_without_predictions: tuple[str, ...]
    predictions: int
    predictions_outside_split: int
    predictions_over_limit: int

    def to_text(self) -> str:
        """Return a summary as text."""
        lines = [
            f"wrote {self.path} for {self.benchmark}: {self.predictions} predictions in {self.videos} videos of split "
            f"'{self.split}'"
        ]
        if self.videos_without_predictions:
            without = self.videos_without_predictions
            lines.append(f"{len(without)} of them without any: {first_few(without)}")
        if self.predictions_outside_split:
            lines.append(f"{self.predictions_outside_split} predictions in videos of other splits left out")
        if self.predictions_over_limit:
            lines.append(f"{self.predictions_over_limit} predictions left out by --per-video")
        return "\n".join(lines)


@dataclass(frozen=True)
class TrainingFacts:
    """What a benchmark asks about the training of the model."""

    supervision: Supervision | None = None
    """Required for ``epic-kitchens``, only used there."""
    external_data: str | None = None
    """For ``activitynet``: what else the model was trained on; None: nothing."""


def parse_supervision(text: str) -> Supervision:
    """Return the levels that ``PT,TL,TD`` stands for.

    Raises
    ------
    UsageError
        If these are not three whole numbers from 0 to 5.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part in SUPERVISION_LEVELS for part in parts):
        raise UsageError(f"--sls: expected three levels from 0 to 5, found '{text}'", hint="for example --sls 2,3,3")
    pre_training, labels, data = map(int, parts)
    return pre_training, labels, data


def submit(
    *,
    benchmark: str,
    predictions: Sequence[Path],
    annotations: Path,
    output: Path,
    split: str | None = None,
    per_video: int | None = None,
    training: TrainingFacts | None = None,
    table: TableOptions = DEFAULT_TABLE,
) -> Submission:
    """Write a file to submit, whole or not at all.

    Every video of the split is in the file, as the challenges' evaluators require; its detections
    are sorted by descending score. Nothing is rounded.

    Parameters
    ----------
    benchmark : str
        One of `BENCHMARKS`.
    predictions : sequence of Path
        ``epic-kitchens``: see `asl_evaluate.epic_actions.read_actions`. ``ego4d-mq``: one file, or one for
        detection and one for retrieval. ``activitynet``: one file.
    annotations : Path
        Unified annotations, for the videos of the split and the classes; labels may be withheld.
    output : Path
        The file to write.
    split : str, optional
        Default: the split of all predicted videos.
    per_video : int, optional
        Number of detections of each video to keep, those of highest score. Default: all.
    training : TrainingFacts, optional
        What the benchmark asks about the model.
    table : TableOptions
        Columns and encoding of predictions that are tables.

    Raises
    ------
    AslKitError
        If a file cannot be read, or does not fit the benchmark. Nothing is written.
    UsageError
        If an option is missing, or belongs to another benchmark.
    """
    if benchmark not in BENCHMARKS:
        raise UsageError(f"unknown benchmark '{benchmark}', expected one of: {', '.join(BENCHMARKS)}")
    wanted = BENCHMARKS[benchmark]
    training = training or TrainingFacts()
    if training.supervision is not None and benchmark != "epic-kitchens":
        raise UsageError("--sls is for epic-kitchens")
    if training.supervision is None and benchmark == "epic-kitchens":
        hint = "the challenge's own baseline has --sls 2,3,3; the scale: arXiv:2008.09890"
        raise UsageError("epic-kitchens requires --sls PT,TL,TD, the levels of supervision", hint=hint)
    if training.external_data is not None and benchmark != "activitynet":
        raise UsageError("--external-data is for activitynet")
    annotation_set = read_annotations(annotations)
    if annotation_set.dataset not in wanted.datasets:
        raise AnnotationError(
            f"{annotations}: annotations of {annotation_set.dataset}, expected {' or '.join(wanted.datasets)}",
            hint=f"make them with: asl-kit convert {converter_of(wanted.datasets[0])} SOURCE... -o FILE",
        )
    if split is not None:
        annotation_set.split(split)  # fails before the predictions are read
    tables = wanted.read(predictions, annotation_set, table)
    is_joined = len(tables) < len(predictions)
    for source, found in zip([", ".join(map(str, predictions))] if is_joined else predictions, tables, strict=True):
        findings = check_predictions(found, annotation_set, split=split).findings
        report_findings(findings, source, annotations=None if is_joined else annotations)
    split = _split_of(tables, annotation_set, split)
    videos = sorted(annotation_set.split(split))
    inside = [_rows(table, videos) for table in tables]
    best = [{video: rows[:per_video] for video, rows in table.items()} for table in inside]
    document = wanted.fill(best, annotation_set, training)
    validate(wanted.model, document, source=str(output), error=PredictionError)
    write_text(output, json.dumps(document, ensure_ascii=False) + "\n")
    predicted, written = (sum(map(len, table.values())) for table in (_merged(inside), _merged(best)))
    return Submission(
        path=output,
        benchmark=benchmark,
        split=split,
        videos=len(videos),
        videos_without_predictions=tuple(video for video, rows in _merged(best).items() if not rows),
        predictions=written,
        predictions_outside_split=sum(map(len, tables)) - predicted,
        predictions_over_limit=predicted - written,
    )


def _merged(tables: Sequence[Rows]) -> dict[str, list[Detection]]:
    return {video: [row for table in tables for row in table[video]] for video in tables[0]}


def _rows(detections: Detections, videos: Sequence[str]) -> dict[str, list[Detection]]:
    known = set(detections.video_ids)
    return {video: detections.rows(video) if video in known else [] for video in videos}


def _split_of(tables: Sequence[Detections], annotations: AnnotationSet, split: str | None) -> str:
    """Return the split that is named, else that of all predicted videos."""
    if split is not None:
        return split
    predicted = sorted({table.video_ids[number] for table in tables for number in np.unique(table.video).tolist()})
    if not predicted:
        raise PredictionError("no predictions, so their split is not known", hint="name it with --split")
    for video in predicted:
        if video not in annotations.videos:
            raise PredictionError(f"video '{video}' is not in the annotations", hint="name a split with --split")
    found = sorted({annotations.videos[video].split for video in predicted})
    if len(found) > 1:
        raise UsageError(f"predictions are of several splits: {', '.join(found)}", hint="name one of them with --split")
    return found[0]


def _read_actions(paths: Sequence[Path], annotations: AnnotationSet, table: TableOptions) -> list[Detections]:
    verbs, nouns = (annotations.classes(name) for name in VOCABULARIES)
    actions = read_actions(paths, verbs, nouns, table)
    with error_context(", ".join(map(str, paths)), PredictionError):
        for verb, noun in split_labels(actions.class_names):
            for name, vocabulary, classes in ((verb, "verb", verbs), (noun, "noun", nouns)):
                if name not in classes:
                    raise PredictionError(f"class '{name}' is not a {vocabulary} of the annotations")
    return [actions]


def _read_labelled(paths: Sequence[Path], annotations: AnnotationSet, table: TableOptions) -> list[Detections]:
    vocabulary = annotations.vocabulary()
    tables = []
    for path in paths:
        tables.append(read_predictions(path, table))
        with error_context(path, PredictionError):
            require_known_classes(tables[-1], annotations.classes(vocabulary), vocabulary)
    return tables


def _read_moments(paths: Sequence[Path], annotations: AnnotationSet, table: TableOptions) -> list[Detections]:
    if not 1 <= len(paths) <= 2:
        raise UsageError(
            f"--predictions: expected one file, or one for detection and one for retrieval, found {len(paths)}"
        )
    return _read_labelled(paths, annotations, table)


def _read_one(paths: Sequence[Path], annotations: AnnotationSet, table: TableOptions) -> list[Detections]:
    if len(paths) != 1:
        raise UsageError(f"--predictions: expected one file, found {len(paths)}")
    return _read_labelled(paths, annotations, table)


def _labelled(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    return {
        video: [{"label": row.label, "score": row.score, "segment": [row.start_s, row.end_s]} for row in detections]
        for video, detections in rows.items()
    }


def _epic_kitchens(tables: Sequence[Rows], annotations: AnnotationSet, training: TrainingFacts) -> dict[str, Any]:
    verbs, nouns = ({name: number for number, name in enumerate(annotations.classes(own))} for own in VOCABULARIES)
    labels = {row.label for detections in tables[0].values() for row in detections}
    ids = {
        label: (verbs[verb], nouns[noun])
        for label, (verb, noun) in zip(labels, split_labels(list(labels)), strict=True)
    }
    results = {
        video: [
            {
                "verb": ids[row.label][0],
                "noun": ids[row.label][1],
                "action": "{},{}".format(*ids[row.label]),
                "score": row.score,
                "segment": [row.start_s, row.end_s],
            }
            for row in detections
        ]
        for video, detections in tables[0].items()
    }
    levels = dict(zip(("sls_pt", "sls_tl", "sls_td"), training.supervision or (), strict=True))
    return {"version": "0.2", "challenge": "action_detection", **levels, "results": results}


def _moment_queries(tables: Sequence[Rows], annotations: AnnotationSet, training: TrainingFacts) -> dict[str, Any]:
    detect, retrieve = _labelled(tables[0]), _labelled(tables[-1])
    document = {"version": "1.0", "challenge": "ego4d_moment_queries"}
    return {**document, "detect_results": detect, "retrieve_results": retrieve}


def _activitynet(tables: Sequence[Rows], annotations: AnnotationSet, training: TrainingFacts) -> dict[str, Any]:
    return {
        "version": ACTIVITYNET_VERSIONS[annotations.dataset],
        "results": _labelled(tables[0]),
        "external_data": {"used": training.external_data is not None, "details": training.external_data or ""},
    }


@dataclass(frozen=True)
class _Benchmark:
    datasets: tuple[str, ...]
    """Datasets whose annotations it accepts."""
    model: type[StrictModel]
    read: Callable[[Sequence[Path], AnnotationSet, TableOptions], list[Detections]]
    fill: Callable[[Sequence[Rows], AnnotationSet, TrainingFacts], dict[str, Any]]


BENCHMARKS = {
    "epic-kitchens": _Benchmark(("epic-kitchens",), EpicKitchens, _read_actions, _epic_kitchens),
    "ego4d-mq": _Benchmark(("ego4d-mq",), MomentQueries, _read_moments, _moment_queries),
    "activitynet": _Benchmark(("activitynet13", "activitynet12"), ActivityNet, _read_one, _activitynet),
}
"""By the value of ``--to``."""
