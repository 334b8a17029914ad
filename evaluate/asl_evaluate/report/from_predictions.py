"""The report on a predictions file with annotations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asl_evaluate.diagnosis import diagnose
from asl_evaluate.options import DEFAULTS, ScoringOptions
from asl_evaluate.report.scores_page import write_scores_report
from asl_evaluate.report.sensitivity_file import read_sensitivity
from asl_evaluate.scoring import read_tasks
from asl_evaluate.task import prepare
from asl_kit.errors import PredictionError, UsageError, error_context


def report_file(
    path: Path,
    *,
    predictions: Path,
    annotations: Path,
    options: ScoringOptions = DEFAULTS,
    videos: Path | None = None,
    sensitivity: Path | None = None,
    predictions_per_video: int = 200,
) -> None:
    """Write the report on a predictions file.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    predictions : Path
        ActivityNet detection JSON.
    annotations : Path
        Unified annotations.
    options : ScoringOptions
        How to score, and how to read a table.
    videos : Path, optional
        Folder of the video files.
    sensitivity : Path, optional
        A file that ``asl-kit eval --sensitivity`` wrote.
    predictions_per_video : int
        How many predictions of each video the page shows, those of highest score.

    Raises
    ------
    UsageError
        If the protocol scores several vocabularies together and no vocabulary is named.
    AslKitError
        As the readers, the protocol, `diagnose` and `write_scores_report`.
    """
    (task,) = read_tasks([predictions], annotations, replace(options, protocol=None))
    dataset = task.annotations.dataset
    protocol = options.protocol_for(dataset)
    if protocol.joint and options.vocabulary is None:
        raise UsageError(
            f"protocol {protocol.name} scores several vocabularies, and a report shows one",
            hint=f"name it with --vocabulary: {', '.join(task.annotations.vocabularies)}",
        )
    with error_context(predictions, PredictionError):
        scores = protocol.score(replace(task, tiou_thresholds=options.tiou_thresholds(dataset)))
        if scores.mean_average_precision and scores.tiou_thresholds:
            task = replace(task, tiou_thresholds=scores.tiou_thresholds)  # the intervals must belong to the scores
        prepared = prepare(task)
        learned = None
        if sensitivity is not None:
            learned = read_sensitivity(
                sensitivity, vocabulary=prepared.vocabulary, classes=prepared.classes, videos=prepared.videos
            )
        write_scores_report(
            path,
            dataset=dataset,
            prepared=prepared,
            scores=scores,
            diagnosis=diagnose(task),
            videos=videos,
            sensitivity=learned,
            predictions_per_video=predictions_per_video,
        )
