"""The part of a report with a timeline of every video. Its markup, style and script are files beside this module."""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.report.confusion import best_score
from asl_evaluate.report.sensitivity_file import ClassCurves, Sensitivity, VideoCurves
from asl_kit.base.html_page import HtmlPage
from asl_kit.detections.table import MIN_SCORE
from asl_kit.metrics import ScoredSegments, Segments
from asl_kit.metrics.matching import order_by_score
from asl_kit.recipes.schema import ONE_CLASS

MAX_POINTS = 400
"""Points of a curve over a video, at most: no screen shows more."""
CLASS_CURVE_STEP = 5
_ORDERS = {
    True: {"missed": "most missed first", "wrong": "most wrong first"},
    False: {"most": "most detections first", "highest": "highest score first"},
}
"""Orders of the videos, other than by name: with ground truth, and without."""
_LEGEND = {
    True: "Each lane is a class. A shaded band is a true segment; a bar is a prediction, higher in its lane the higher "
    "its score. At first, the predictions at or above the score with the best F1 are shown.",
    False: "Each lane is a class, and each bar a detection, higher in its lane the higher its score.",
}


@dataclass(frozen=True)
class Timelines:
    """What timelines show. Segments number the classes and the videos in the order that they have here."""

    classes: tuple[str, ...]
    durations_s: Mapping[str, float]
    """By video id."""
    truth: Segments
    """Empty without annotations."""
    predicted: ScoredSegments


def add_tiles(page: HtmlPage, tiles: Sequence[tuple[str, str, str]]) -> None:
    """Add headline numbers: each with its name, its value and a note, which may be empty."""
    items = (
        f"<div><dt>{html.escape(name)}</dt><dd>{value}{f'<small>{note}</small>' if note else ''}</dd></div>"
        for name, value, note in tiles
    )
    page.part(f'<dl class="tiles">{"".join(items)}</dl>')


def add_timelines(page: HtmlPage, data: Mapping[str, Any]) -> None:
    """Add the part of a page on its videos: controls, timelines and their data (`timeline_data`)."""
    videos, scored = data["videos"], bool(data["tiou"])
    filmed = sum("file" in video for video in videos)
    page.heading("Videos")
    page.paragraph(
        f"{_LEGEND[scored]} Click a timeline, move the Time slider, or use the arrow keys on the timeline to read its "
        f"values{' and to seek in the video' if filmed else ''}."
    )
    if 0 < filmed < len(videos):
        page.paragraph(f"{len(videos) - filmed} of {len(videos)} videos have no file.")
    markup, style, script = (
        files(__package__).joinpath(f"timelines.{suffix}").read_text(encoding="utf-8")
        for suffix in ("html", "css", "js")
    )
    kinds = {
        "filmed": filmed,
        "learned-shown": data["curves"] is not None or any("learned" in video for video in videos),
        "unscored": not scored,
    }
    orders = "".join(f'<option value="{key}">{text}</option>' for key, text in _ORDERS[scored].items())
    page.part(
        markup.replace("CHOSEN", " ".join(name for name, there in kinds.items() if there)).replace("ORDERS", orders),
        style=style,
        script=script,
        data={"timeline-data": json.dumps(data, ensure_ascii=False, separators=(",", ":"))},
    )


def timeline_data(
    timelines: Timelines,
    *,
    tiou_thresholds: tuple[float, ...],
    default_tiou: float | None,
    addresses: Mapping[str, str],
    sensitivity: Sensitivity | None,
    predictions_per_video: int,
    of_unknown_length: Collection[str] = (),
) -> dict[str, Any]:
    """Return the data of the page's timelines: rows [start_s, end_s, class] and [start_s, end_s, class, score].

    Truth is sorted by time, predictions by descending score. Times are rounded to 1 ms, scores to 4 digits.

    Parameters
    ----------
    timelines : Timelines
        What to show.
    tiou_thresholds : tuple of float
        The thresholds to choose from, at or above which a prediction can be correct. Empty without ground truth.
    default_tiou : float or None
        The threshold at first.
    addresses : mapping of str to str
        URL of each video's file, by id. Videos may be missing.
    sensitivity : Sensitivity or None
        Learned curves to show.
    predictions_per_video : int
        Number of predictions of each video, those with the highest scores.
    of_unknown_length : collection of str
        Videos that may be longer than their duration says. The page takes their length from the file.
    """
    truth, predicted = timelines.truth, timelines.predicted
    truth = truth.take(np.lexsort((truth.end_s, truth.start_s, truth.video)))
    predicted = predicted.take(order_by_score(predicted, predicted.video))
    numbers = np.arange(len(timelines.durations_s) + 1)
    truth_from, predicted_from = np.searchsorted(truth.video, numbers), np.searchsorted(predicted.video, numbers)
    truth_rows = _rows(truth.start_s, truth.end_s, truth.label)
    videos: list[dict[str, Any]] = []
    scores: list[float] = []
    for number, (video_id, duration_s) in enumerate(timelines.durations_s.items()):
        first = predicted_from[number]
        last = min(predicted_from[number + 1], first + predictions_per_video)
        score = [float(f"{value:.4g}") for value in predicted.score[first:last].tolist()]
        rows = _rows(predicted.start_s[first:last], predicted.end_s[first:last], predicted.label[first:last])
        entry: dict[str, Any] = {
            "id": video_id,
            "duration": duration_s,
            "truth": truth_rows[truth_from[number] : truth_from[number + 1]],
            "predictions": [[*row, value] for row, value in zip(rows, score, strict=True)],
        }
        scores += score[:1] + score[-1:]  # they fall
        if last < predicted_from[number + 1]:
            entry["left_out"] = int(predicted_from[number + 1] - last)
        if video_id in of_unknown_length:
            entry["at_least"] = True
        if video_id in addresses:
            entry["file"] = addresses[video_id]
        if sensitivity and sensitivity.videos and video_id in sensitivity.videos:
            entry["learned"] = _over_time(sensitivity.videos[video_id])
        videos.append(entry)
    best = MIN_SCORE
    if default_tiou is not None:
        best = best_score(truth, predicted, num_classes=len(timelines.classes), tiou_threshold=default_tiou)
    lowest, highest = (min(scores), max(scores)) if scores else (0.0, 1.0)
    return {
        "classes": list(timelines.classes),
        "tiou": list(tiou_thresholds),
        "default_tiou": default_tiou,
        "default_score": min(max(float(f"{best:.4g}"), lowest), highest),
        "lowest": min(lowest, 0.0),
        "highest": highest,
        "curves": _within_segments(timelines.classes, sensitivity.classes if sensitivity else None),
        "videos": videos,
    }


def _rows(start_s: NDArray[np.float64], end_s: NDArray[np.float64], label: NDArray[np.integer]) -> list[list[Any]]:
    columns = np.round(start_s, 3).tolist(), np.round(end_s, 3).tolist(), label.tolist()
    return [list(row) for row in zip(*columns, strict=True)]


def _over_time(curves: VideoCurves) -> dict[str, Any]:
    """Return a video's curves as at most `MAX_POINTS` means of as many features each."""
    features = len(curves.q_cls)
    together = -(-features // MAX_POINTS)
    starts = np.arange(0, features, together)
    sizes = np.diff(starts, append=features)
    centres_s = curves.first_s + (starts + (sizes - 1) / 2) * curves.step_s
    means = {
        name: np.round(np.add.reduceat(np.array(values), starts) / sizes, 3).tolist()
        for name, values in (("cls", curves.q_cls), ("loc", curves.q_loc))
    }
    return {"first": round(float(centres_s[0]), 3), "last": round(float(centres_s[-1]), 3), **means}


def _within_segments(classes: tuple[str, ...], curves: Mapping[str, ClassCurves] | None) -> dict[str, Any] | None:
    if curves is None:
        return None
    if ONE_CLASS in curves:
        curves = dict.fromkeys(classes, curves[ONE_CLASS]) | dict(curves)
    return {
        str(label): {
            "cls": np.round(curves[name].p_cls[::CLASS_CURVE_STEP], 3).tolist(),
            "loc": np.round(curves[name].p_loc[::CLASS_CURVE_STEP], 3).tolist(),
        }
        for label, name in enumerate(classes)
        if name in curves
    }
