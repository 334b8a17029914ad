"""Scores as tables for a terminal. Shares are shown in percent, as papers print them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from asl_evaluate.scores import Scores
from asl_kit.base.console import warn
from asl_kit.base.files import write_text

MAX_CLASSES_SHOWN = 20
MAX_THRESHOLDS_SHOWN = 6
EXTREMES_SHOWN = 5


def print_scores(scores: Scores, console: Console) -> None:
    """Print mAP per tIoU, AP per class (the best and worst if many), coverage and warnings; or each part."""
    if scores.parts:
        for part in scores.parts.values():
            print_scores(part, console)
        return
    coverage = scores.coverage
    console.print(
        f"protocol {scores.protocol}, split {scores.split}, vocabulary {scores.vocabulary}, "
        f"duplicates {coverage.duplicates}"
    )
    console.print(
        f"videos {coverage.videos}, segments {coverage.segments}, classes {len(scores.per_class)}, "
        f"predictions {coverage.predictions}"
    )
    console.print(_overall(scores))
    for name, figure in scores.figures.items():
        console.print(f"{name} (%): {_percent(figure.mean)}")
    if scores.per_class:
        console.print(_per_class(scores))
    for warning in coverage.warnings():
        warn(console, warning)


def write_csv(path: Path, scores: Scores) -> None:
    """Write one row for all classes and one for each, by task where there are several, as shares in [0, 1].

    Columns: task, class, a column for each tIoU (``AP@0.5``), ``AP``, ``segments``, ``predictions``. The row of all
    classes has an empty class.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    thresholds = scores.tiou_thresholds
    writer.writerow(
        ["task", "class", *(f"AP@{threshold:g}" for threshold in thresholds), "AP", "segments", "predictions"]
    )
    for name, part in (scores.parts or {scores.vocabulary: scores}).items():
        if part.average_map is not None:
            by_tiou = part.mean_average_precision if thresholds else ()
            coverage = part.coverage
            writer.writerow([name, "", *by_tiou, part.average_map, coverage.segments, coverage.predictions])
        for label, found in part.per_class.items():
            by_tiou = found.average_precision if thresholds else ()
            writer.writerow([name, label, *by_tiou, found.mean, found.segments, found.predictions])
    write_text(path, text.getvalue())


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _overall(scores: Scores) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    columns: list[tuple[str, tuple[float, ...], float]] = []
    if scores.average_map is not None:
        columns.append(("mAP", scores.mean_average_precision, scores.average_map))
    columns += [(name, recall.per_tiou, recall.mean) for name, recall in scores.recall.items()]
    for heading in ("tIoU", *(f"{name} (%)" for name, _, _ in columns)):
        table.add_column(heading, justify="right")
    for row, threshold in enumerate(scores.tiou_thresholds):
        last = row == len(scores.tiou_thresholds) - 1
        table.add_row(f"{threshold:g}", *(_percent(values[row]) for _, values, _ in columns), end_section=last)
    table.add_row(
        "mean" if scores.tiou_thresholds else "frames", *(_percent(mean) for _, _, mean in columns), style="bold"
    )
    return table


def _per_class(scores: Scores) -> Table:
    names = sorted(scores.per_class, key=lambda name: (-scores.per_class[name].mean, name))
    title = "AP (%) per class"
    if len(names) > MAX_CLASSES_SHOWN:
        title += f": the {EXTREMES_SHOWN} best and the {EXTREMES_SHOWN} worst of {len(names)}"
        names = names[:EXTREMES_SHOWN] + names[-EXTREMES_SHOWN:]
    columns = list(range(len(scores.tiou_thresholds)))
    if len(columns) > MAX_THRESHOLDS_SHOWN:
        columns = [columns[0], columns[len(columns) // 2], columns[-1]]
    table = Table("class", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in (*(f"@{scores.tiou_thresholds[column]:g}" for column in columns), "mean", "truth", "predicted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, name in enumerate(names):
        result = scores.per_class[name]
        table.add_row(
            name,
            *(_percent(result.average_precision[column]) for column in columns),
            _percent(result.mean),
            str(result.segments),
            str(result.predictions),
            end_section=len(names) < len(scores.per_class) and place == EXTREMES_SHOWN - 1,
        )
    return table
