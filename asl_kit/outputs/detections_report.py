"""The report on a predictions file without annotations."""

from __future__ import annotations

from pathlib import Path

from asl_evaluate.prediction_check import VideoLength, check_lengths, report_findings
from asl_evaluate.report import write_detections_report
from asl_evaluate.report.video_files import find_video_files
from asl_extract.decoders.headers import read_headers
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.console import err, warn
from asl_kit.detections.json_format import read_predictions
from asl_kit.errors import PredictionError, error_context, first_few

NAMES_SHOWN = 3


def report_detections(
    path: Path,
    *,
    predictions: Path,
    table: TableOptions = DEFAULT_TABLE,
    videos: Path | None = None,
    predictions_per_video: int = 200,
) -> None:
    """Write the report on a predictions file that shows the detections and scores nothing.

    Scores out of range, and times that do not fit the video files, are printed on stderr.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    predictions : Path
        ActivityNet detection JSON, or a table (``.csv``).
    table : TableOptions
        How to read a table.
    videos : Path, optional
        Folder of the video files.
    predictions_per_video : int
        How many predictions of each video the page shows, those of highest score.

    Raises
    ------
    AslKitError
        As `read_predictions`, `find_video_files` and `write_detections_report`.
    """
    detections = read_predictions(predictions, table)
    files = find_video_files(videos, dict.fromkeys(detections.video_ids)) if videos is not None else {}
    headers, unreadable = read_headers(files) if files else ({}, {})
    lengths = {video_id: VideoLength(header.duration_s, header.fps) for video_id, header in headers.items()}
    report_findings(check_lengths(detections, lengths), predictions)
    if unreadable:
        some = first_few(list(unreadable.values()), NAMES_SHOWN)
        warn(err(), f"{len(unreadable)} of {len(files)} video files cannot be read: {some}")
    with error_context(predictions, PredictionError):
        write_detections_report(
            path, detections, durations_s={}, files=files, predictions_per_video=predictions_per_video
        )
