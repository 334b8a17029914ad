"""The report on detections without annotations: timelines beside the videos, and no score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from asl_evaluate.report.timelines import Timelines, add_tiles, add_timelines, timeline_data
from asl_evaluate.report.video_files import address
from asl_kit.base.html_page import HtmlPage
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError
from asl_kit.metrics import ScoredSegments, Segments


def write_detections_report(
    path: Path,
    detections: Detections,
    *,
    durations_s: Mapping[str, float],
    files: Mapping[str, Path],
    predictions_per_video: int = 200,
) -> None:
    """Write detections as one HTML file that needs no network.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    detections : Detections
        Of at least one video.
    durations_s : mapping of str to float
        Lengths of videos by id. For others, the page takes it from the file, or the end of the last detection.
    files : mapping of str to Path
        Video files by id. The page plays them from where they are.
    predictions_per_video : int
        Number of detections of each video on the page, those of highest score.

    Raises
    ------
    PredictionError
        If there is no video.
    """
    detected = _number(detections, durations_s)
    page = HtmlPage("Detections")
    counts = {
        "videos": len(detected.durations_s),
        "detections": len(detections),
        "classes found": len(np.unique(detections.label)),
    }
    add_tiles(page, [(name, f"{count:,}", "") for name, count in counts.items()])
    _add_classes(page, detections)
    data = timeline_data(
        detected,
        tiou_thresholds=(),
        default_tiou=None,
        addresses={video_id: address(file, path) for video_id, file in files.items()},
        sensitivity=None,
        predictions_per_video=predictions_per_video,
        of_unknown_length=detected.durations_s.keys() - durations_s.keys(),
    )
    add_timelines(page, data)
    page.write(path)


def _number(detections: Detections, durations_s: Mapping[str, float]) -> Timelines:
    """Return detections as columns, with videos in order of their ids."""
    if not detections.video_ids:
        raise PredictionError("there are no videos to report on", hint='"results" is empty')
    ids = sorted(detections.video_ids)
    number = {video_id: index for index, video_id in enumerate(ids)}
    video = np.array([number[video_id] for video_id in detections.video_ids])[detections.video]
    last_s = np.zeros(len(ids))
    np.maximum.at(last_s, video, detections.end_s)
    durations = {
        video_id: durations_s.get(video_id, float(end_s) or 1.0) for video_id, end_s in zip(ids, last_s, strict=True)
    }
    none, no_time = np.zeros(0, np.int64), np.zeros(0)
    predicted = ScoredSegments(video, detections.start_s, detections.end_s, detections.label, detections.score)
    return Timelines(detections.class_names, durations, Segments(none, no_time, no_time, none), predicted)


def _add_classes(page: HtmlPage, detections: Detections) -> None:
    rows = []
    for label, name in enumerate(detections.class_names):
        mine = detections.label == label
        if mine.any():
            score = detections.score[mine]
            videos = len(np.unique(detections.video[mine]))
            rows.append((-float(score.max()), [name, f"{len(score):,}", f"{videos:,}", f"{score.max():.3g}"]))
    page.heading("Classes")
    page.table(["class", "detections", "videos", "highest score"], [row for _, row in sorted(rows)])
