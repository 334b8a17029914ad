"""A report from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asl_evaluate.diagnosis import diagnose
from asl_evaluate.preparation import Duplicates, prepare
from asl_evaluate.protocols import find_protocol
from asl_evaluate.report.detections_page import write_detections_report
from asl_evaluate.report.learned import read_sensitivity
from asl_evaluate.report.page import write_report
from asl_evaluate.report.video_files import find_video_files
from asl_evaluate.scoring import default_protocol, default_tiou
from asl_evaluate.task_files import read_tasks
from asl_kit.detections.json_format import read_predictions
from asl_kit.errors import PredictionError, UsageError, error_context


def report_file(
    path: Path,
    *,
    predictions: Path,
    annotations: Path | None = None,
    split: str | None = None,
    tiou: str | None = None,
    duplicates: Duplicates = "keep",
    protocol: str | None = None,
    vocabulary: str | None = None,
    videos: Path | None = None,
    sensitivity: Path | None = None,
    predictions_per_video: int = 200,
) -> None:
    """Write the report on a predictions file; what is None comes as in `asl_evaluate.scoring.evaluate_predictions`.

    Without annotations it shows the detections alone, and nothing is judged.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    predictions : Path
        ActivityNet detection JSON.
    annotations : Path, optional
        Unified annotations.
    split, tiou, duplicates, protocol, vocabulary
        As for `asl_evaluate.scoring.evaluate_predictions`.
    videos : Path, optional
        Folder of the video files.
    sensitivity : Path, optional
        A file that ``asl-kit eval --sensitivity`` wrote.
    predictions_per_video : int
        How many predictions of a video, those of highest score, stand on the page.

    Raises
    ------
    UsageError
        If the protocol scores several vocabularies at once and none of them is named, or something is
        given that needs annotations, and they are not.
    AslKitError
        As the readers, the protocol, `diagnose` and `write_report`.
    """
    if annotations is None:
        options: dict[str, object] = {"split": split, "tiou": tiou, "protocol": protocol, "vocabulary": vocabulary}
        options |= {"sensitivity": sensitivity, "duplicates": None if duplicates == "keep" else duplicates}
        needing = [f"--{name}" for name, value in options.items() if value is not None]
        if needing:
            raise UsageError(
                f"{', '.join(needing)}: nothing to compare the predictions with",
                hint="give --annotations FILE, or see what was found without them",
            )
        detections = read_predictions(predictions)
        ids = dict.fromkeys(detections.video_ids)
        files = find_video_files(videos, ids) if videos is not None else {}
        with error_context(predictions, PredictionError):
            write_detections_report(
                path, detections, durations_s={}, files=files, predictions_per_video=predictions_per_video
            )
        return
    method = find_protocol(protocol) if protocol is not None else None
    (task,) = read_tasks(
        predictions=[predictions],
        annotations=annotations,
        split=split,
        tiou=tiou,
        duplicates=duplicates,
        vocabulary=vocabulary,
    )
    dataset = task.annotations.dataset
    method = method or find_protocol(default_protocol(dataset))
    if method.joint and vocabulary is None:
        raise UsageError(
            f"protocol {method.name} scores several vocabularies, and a report shows one",
            hint=f"name it with --vocabulary: {', '.join(task.annotations.vocabularies)}",
        )
    scored = task if tiou is not None else replace(task, tiou_thresholds=default_tiou(dataset, method.name))
    with error_context(predictions, PredictionError):
        prepared = prepare(task)
        learned = None
        if sensitivity is not None:
            learned = read_sensitivity(
                sensitivity, vocabulary=prepared.vocabulary, classes=prepared.classes, videos=prepared.videos
            )
        write_report(
            path,
            dataset=dataset,
            prepared=prepared,
            scores=method.score(scored),
            diagnosis=diagnose(task),
            videos=videos,
            sensitivity=learned,
            predictions_per_video=predictions_per_video,
        )
