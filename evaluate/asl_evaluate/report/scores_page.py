"""The report on scored predictions, from top to bottom."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.bootstrap import Confidence, few_videos_warning
from asl_evaluate.diagnosis import ERROR_TYPES, TRUE_POSITIVE, Diagnosis
from asl_evaluate.report import figures
from asl_evaluate.report.confusion import confusion_matrix
from asl_evaluate.report.sensitivity_file import Sensitivity
from asl_evaluate.report.timelines import Timelines, add_tiles, add_timelines, timeline_data
from asl_evaluate.report.video_files import address, find_video_files
from asl_evaluate.scores import Scores
from asl_evaluate.task import Prepared
from asl_kit.base.html_page import HtmlPage

CONFUSIONS_SHOWN = 20


def write_scores_report(
    path: Path,
    *,
    dataset: str,
    prepared: Prepared,
    scores: Scores,
    diagnosis: Diagnosis,
    videos: Path | None = None,
    sensitivity: Sensitivity | None = None,
    predictions_per_video: int = 200,
) -> None:
    """Write a report as one HTML file that needs no network.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    dataset : str
        Name of the dataset, for the title.
    prepared : Prepared
        Truth and predictions.
    scores : Scores
        Their scores.
    diagnosis : Diagnosis
        Their errors.
    videos : Path, optional
        Folder of the video files. The page plays them from where they are.
    sensitivity : Sensitivity, optional
        The model's learned sensitivity.
    predictions_per_video : int
        Number of predictions of each video on the page, those of highest score.

    Raises
    ------
    AslKitError
        As `find_video_files`.
    """
    files = (
        find_video_files(videos, {name: video.path for name, video in prepared.videos.items()})
        if videos is not None
        else {}
    )
    middle = min(diagnosis.tiou_thresholds, key=lambda threshold: (abs(threshold - 0.5), threshold))
    page = HtmlPage(f"{dataset}: report")
    page.paragraph(
        f"Split {scores.split}, vocabulary {scores.vocabulary}, protocol {scores.protocol_and_package}, "
        f"duplicates in the ground truth: {scores.coverage.duplicates}."
    )
    _add_summary(page, scores, diagnosis)
    _add_classes(page, scores)
    _add_confusion(page, prepared, middle)
    _add_errors(page, diagnosis)
    if sensitivity is not None and sensitivity.classes:
        _add_class_sensitivity(page, sensitivity)
    durations_s = {video_id: video.duration for video_id, video in prepared.videos.items()}
    data = timeline_data(
        Timelines(prepared.classes, durations_s, prepared.truth, prepared.predicted),
        tiou_thresholds=diagnosis.tiou_thresholds,
        default_tiou=middle,
        addresses={video_id: address(file, path) for video_id, file in files.items()},
        sensitivity=sensitivity,
        predictions_per_video=predictions_per_video,
    )
    add_timelines(page, data)
    page.write(path)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _own_confidence(scores: Scores, diagnosis: Diagnosis) -> Confidence | None:
    """Return the intervals if they belong to the protocol's own mAP."""
    estimates = [interval.estimate for interval in diagnosis.confidence.per_tiou]
    same = len(estimates) == len(scores.mean_average_precision) and np.allclose(
        estimates, scores.mean_average_precision, rtol=0, atol=1e-9
    )
    return diagnosis.confidence if same else None


def _add_summary(page: HtmlPage, scores: Scores, diagnosis: Diagnosis) -> None:
    confidence = _own_confidence(scores, diagnosis)
    coverage = scores.coverage
    tiles = []
    if scores.average_map is not None:
        interval = ""
        if confidence is not None:
            between = f"{_percent(confidence.average.low)} to {_percent(confidence.average.high)}"
            interval = f"{confidence.level:.0%} interval: {between}"
        tiles.append(("average mAP (%)", _percent(scores.average_map), interval))
    tiles += [
        (f"{name} (%)", _percent(metric.mean), "") for name, metric in (*scores.recall.items(), *scores.metrics.items())
    ]
    tiles += [
        ("videos", f"{coverage.videos:,}", ""),
        ("true segments", f"{coverage.segments:,}", f"{len(scores.per_class)} classes"),
        ("predictions", f"{coverage.predictions:,}", f"{coverage.predictions / max(coverage.videos, 1):.1f} a video"),
    ]
    add_tiles(page, tiles)
    warnings = coverage.warnings()
    if confidence is not None and (few := few_videos_warning(diagnosis.videos)):
        warnings.insert(0, few)
    if warnings:
        items = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
        page.part(f'<p>Check these first:</p><ul class="warnings">{items}</ul>')
    if not scores.tiou_thresholds:
        return
    page.heading("Score by tIoU")
    page.figure(
        figures.tiou_curves(scores, confidence),
        "mAP and recall at each tIoU threshold"
        + (f", with the {confidence.level:.0%} interval of the bootstrap over videos." if confidence else "."),
    )
    curves = {"mAP (%)": scores.mean_average_precision} if scores.mean_average_precision else {}
    curves |= {f"{name} (%)": value.per_tiou for name, value in scores.recall.items() if value.per_tiou}
    columns = ["", *(f"{threshold:g}" for threshold in scores.tiou_thresholds), "mean"]
    rows = [[name, *map(_percent, values), _percent(sum(values) / len(values))] for name, values in curves.items()]
    page.table(columns, rows)


def _add_classes(page: HtmlPage, scores: Scores) -> None:
    if not scores.per_class:
        return
    page.heading("Classes")
    page.figure(figures.class_bars(scores), "Average precision by class, averaged over the tIoU thresholds.")
    names = sorted(scores.per_class, key=lambda name: (-scores.per_class[name].mean, name))
    many = len(scores.tiou_thresholds) > 1
    columns = ["class", *(f"AP@{t:g} (%)" for t in scores.tiou_thresholds if many), "mean AP (%)", "true", "predicted"]
    rows = []
    for name in names:
        score = scores.per_class[name]
        each = map(_percent, score.average_precision) if many else ()
        rows.append([name, *each, _percent(score.mean), f"{score.segments:,}", f"{score.predictions:,}"])
    page.table(columns, rows, folded="All classes as a table")


def _add_confusion(page: HtmlPage, prepared: Prepared, tiou_threshold: float) -> None:
    classes = prepared.classes
    if len(classes) < 2:
        return
    matrix = confusion_matrix(
        prepared.truth, prepared.predicted, num_classes=len(classes), tiou_threshold=tiou_threshold
    )
    page.heading("Confusion")
    page.figure(
        figures.confusion(matrix, classes),
        "The class of the prediction that is matched to each true segment (tIoU of at least "
        f"{tiou_threshold:g}, any class, highest score first), in percent of the class's segments.",
    )
    page.table(
        ["true", "predicted", "segments", "% of the class"],
        _most_confused(matrix, classes),
        text_columns=2,
        folded=f"The {CONFUSIONS_SHOWN} most frequent confusions as a table",
    )


def _most_confused(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> list[list[str]]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_SHOWN]
    names = [*classes, "missed"]
    return [
        [names[row], names[column], str(wrong[row, column]), f"{100 * wrong[row, column] / matrix[row].sum():.1f}"]
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    ]


def _add_errors(page: HtmlPage, diagnosis: Diagnosis) -> None:
    page.heading("Errors")
    page.figure(
        figures.error_profile(diagnosis),
        "Kinds of predictions by rank, after DETAD (Alwassel et al., 2018); mean over the tIoU thresholds.",
    )
    kinds = (TRUE_POSITIVE, *ERROR_TYPES)
    page.table(
        ["predictions", "number", *(f"{kind} (%)" for kind in kinds)],
        [
            [f"up to {bar.multiple}G", f"{bar.predictions:,}", *(_percent(bar.shares[kind]) for kind in kinds)]
            for bar in diagnosis.profile
        ],
        folded="The same as a table",
    )
    page.figure(
        figures.error_impacts(diagnosis),
        "What each kind of error costs: the average mAP of these predictions is "
        f"{_percent(diagnosis.average_map_in_profile)} %, and would rise by this much without them.",
    )
    page.table(
        ["without", "average mAP (%)", "gain (points)", "average mAP_N (%)", "gain (points)"],
        [
            [
                impact.error,
                *map(_percent, (impact.average_map, impact.gain)),
                *map(_percent, (impact.average_normalized_map, impact.normalized_gain)),
            ]
            for impact in diagnosis.impacts
        ],
        folded="The same as a table",
    )
    page.heading("What makes segments hard")
    for part in diagnosis.characteristics:
        page.figure(
            figures.characteristic(part, diagnosis.average_normalized_map),
            f"By {part.name} ({part.unit}): average mAP_N (dotted: of all segments), and the share of missed segments.",
        )
    page.table(
        ["characteristic", "bin", "segments", "average mAP_N (%)", "missed (%)"],
        [
            [
                part.name,
                f"{each.name} ({figures.bin_range(each)} {part.unit})",
                f"{each.segments:,}",
                *map(_percent, (each.average_normalized_map, each.missed)),
            ]
            for part in diagnosis.characteristics
            for each in part.bins
        ],
        text_columns=2,
        folded="The same as a table",
    )


def _add_class_sensitivity(page: HtmlPage, sensitivity: Sensitivity) -> None:
    page.heading("Learned sensitivity")
    page.paragraph(
        "How much the frames at each position in a segment matter to the model, from 0 to 1. The timelines below show "
        "the same curves over each true segment."
    )
    page.figure(figures.class_sensitivity(sensitivity, "p_cls"), "For the class.")
    page.figure(figures.class_sensitivity(sensitivity, "p_loc"), "For the boundaries.")
    curves = sensitivity.classes or {}
    keys = sorted({key for each in curves.values() for key in each.mu})
    page.table(
        ["class", *(f"{key}: {name}" for key in keys for name in ("mu", "sigma")), "training segments"],
        [
            [
                name,
                *(f"{values.get(key, float('nan')):.3f}" for key in keys for values in (each.mu, each.sigma)),
                "" if each.training_segments is None else str(each.training_segments),
            ]
            for name, each in sorted(curves.items())
        ],
        folded="The learned centres (mu) and widths (sigma) as a table",
    )
