"""Scores, diagnoses and comparisons as tables for a terminal. Shares are shown in percent, as papers print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from asl_evaluate.bootstrap import Interval, few_videos_warning
from asl_evaluate.comparison import Comparison, Difference
from asl_evaluate.diagnosis import ERROR_TYPES, TRUE_POSITIVE, Bin, Characteristic, Diagnosis
from asl_evaluate.scores import Scores
from asl_kit.base.console import warn

MAX_CLASSES_SHOWN = 20
MAX_THRESHOLDS_SHOWN = 6
EXTREMES_SHOWN = 5


def print_scores(scores: Scores, console: Console) -> None:
    """Print mAP by tIoU, AP by class (the best and worst of many) and warnings, for each part if there are parts."""
    if scores.parts:
        for part in scores.parts.values():
            print_scores(part, console)
        return
    coverage = scores.coverage
    console.print(
        f"protocol {scores.protocol_and_package}, split {scores.split}, vocabulary {scores.vocabulary}, "
        f"duplicates {coverage.duplicates}"
    )
    console.print(
        f"videos {coverage.videos}, segments {coverage.segments}, classes {len(scores.per_class)}, "
        f"predictions {coverage.predictions}"
    )
    if scores.mean_average_precision or scores.recall:
        console.print(_overall(scores))
    for name, metric in scores.metrics.items():
        console.print(f"{name} (%): {_percent(metric.mean)}")
    if scores.per_class:
        console.print(_per_class(scores))
    for warning in coverage.warnings():
        warn(console, warning)


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
    columns = list(range(len(scores.tiou_thresholds)))
    if len(columns) > MAX_THRESHOLDS_SHOWN:
        columns = [columns[0], columns[len(columns) // 2], columns[-1]]
    rows = {}
    for name in sorted(scores.per_class, key=lambda name: (-scores.per_class[name].mean, name)):
        found = scores.per_class[name]
        shares = (*(found.average_precision[column] for column in columns), found.mean)
        rows[name] = (*map(_percent, shares), str(found.segments), str(found.predictions))
    headings = (*(f"@{scores.tiou_thresholds[column]:g}" for column in columns), "mean", "truth", "predicted")
    return _class_table("AP (%) per class", "best and the {} worst", headings, rows)


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print mAP with intervals, the false-positive profile, impacts, characteristics and warnings."""
    _print_task(diagnosis, console)
    console.print(f"predictions {diagnosis.predictions}")
    console.print(_confidence(diagnosis))
    console.print(_profile(diagnosis))
    console.print(_impacts(diagnosis))
    for characteristic in diagnosis.characteristics:
        console.print(_characteristic(characteristic, diagnosis))
    for warning in diagnosis.coverage.warnings():
        warn(console, warning)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print both scores, their difference with its p-value, the classes that differ most, and warnings."""
    _print_task(comparison, console)
    console.print(_differences(comparison))
    console.print(_class_differences(comparison))
    for name, coverage in zip("AB", comparison.coverage, strict=True):
        for warning in coverage.warnings():
            warn(console, warning, what=f"warning, {name}")


def _print_task(result: Diagnosis | Comparison, console: Console) -> None:
    console.print(
        f"dataset {result.dataset}, split {result.split}, vocabulary {result.vocabulary}, "
        f"duplicates {result.duplicates}\nvideos {result.videos}, segments {result.segments}"
    )
    if warning := few_videos_warning(result.videos):
        warn(console, warning)


def _table(title: str, first: str, *headings: str) -> Table:
    table = Table(first, title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}"


def _range(interval: Interval) -> str:
    return f"{_percent(interval.low)} .. {_percent(interval.high)}"


def _confidence(diagnosis: Diagnosis) -> Table:
    confidence = diagnosis.confidence
    title = f"mAP (%) with {100 * confidence.level:g} % intervals: {confidence.resamples} resamples of the videos"
    table = _table(title, "tIoU", "mAP", "interval", "missed")
    rows = zip(diagnosis.tiou_thresholds, confidence.per_tiou, diagnosis.missed, strict=True)
    for threshold, interval, missed in rows:
        last = threshold == diagnosis.tiou_thresholds[-1]
        table.add_row(
            f"{threshold:g}", _percent(interval.estimate), _range(interval), _percent(missed), end_section=last
        )
    average = confidence.average
    missed = sum(diagnosis.missed) / len(diagnosis.missed)
    table.add_row("mean", _percent(average.estimate), _range(average), _percent(missed), style="bold")
    return table


def _profile(diagnosis: Diagnosis) -> Table:
    title = "kinds of predictions (%): the best G of each class with G segments, the next G, ..."
    table = _table(title, "G", "predictions", TRUE_POSITIVE, *ERROR_TYPES)
    for bar in diagnosis.profile:
        shares = (_percent(bar.shares[name] if bar.predictions else None) for name in (TRUE_POSITIVE, *ERROR_TYPES))
        table.add_row(str(bar.multiple), str(bar.predictions), *shares)
    return table


def _impacts(diagnosis: Diagnosis) -> Table:
    title = "average mAP and mAP_N (%) of these predictions, and without each kind of error"
    table = _table(title, "without", "mAP", "gain", "mAP_N", "gain")
    base, normalized = diagnosis.average_map_in_profile, diagnosis.average_normalized_map_in_profile
    table.add_row("(all there)", _percent(base), "", _percent(normalized), "", end_section=True)
    for impact in diagnosis.impacts:
        table.add_row(
            impact.error,
            _percent(impact.average_map),
            _signed(impact.gain),
            _percent(impact.average_normalized_map),
            _signed(impact.normalized_gain),
        )
    return table


def _characteristic(characteristic: Characteristic, diagnosis: Diagnosis) -> Table:
    title = (
        f"{characteristic.name} ({characteristic.unit}; bins: {characteristic.bins_from}): "
        f"average mAP_N (%), {_percent(diagnosis.average_normalized_map)} on all segments"
    )
    table = _table(title, "bin", "values", "segments", "mAP_N", "missed")
    for part in characteristic.bins:
        table.add_row(
            part.name,
            _values(part),
            str(part.segments),
            _percent(part.average_normalized_map),
            _percent(part.missed),
        )
    return table


def _values(part: Bin) -> str:
    if part.high == float("inf"):
        return f"above {part.low:.4g}"
    return f"up to {part.high:.4g}" if part.low == 0 else f"{part.low:.4g} .. {part.high:.4g}"


def _differences(comparison: Comparison) -> Table:
    level = f"{100 * comparison.level:g} % interval"
    title = f"mAP (%) of A and B: {comparison.resamples} resamples of the videos, the same for both"
    table = _table(title, "tIoU", "A", "B", "B - A", level, "p")
    rows = list(zip(comparison.tiou_thresholds, comparison.per_tiou, strict=True))
    for threshold, row in rows:
        table.add_row(f"{threshold:g}", *_cells(row), end_section=threshold == rows[-1][0])
    table.add_row("mean", *_cells(comparison.average), style="bold")
    return table


def _cells(row: Difference) -> tuple[str, ...]:
    change = row.difference
    return (
        _percent(row.first.estimate),
        _percent(row.second.estimate),
        _signed(change.estimate),
        f"{_signed(change.low)} .. {_signed(change.high)}",
        f"{row.p_value:.2g}",
    )


def _class_differences(comparison: Comparison) -> Table:
    rows = {}
    for name in sorted(comparison.per_class, key=lambda name: (-comparison.per_class[name].difference, name)):
        row = comparison.per_class[name]
        rows[name] = _percent(row.first), _percent(row.second), _signed(row.difference), str(row.segments)
    title = "AP (%) per class, average over the thresholds"
    return _class_table(title, "that gain most and least", ("A", "B", "B - A", "segments"), rows)


def _class_table(title: str, extremes: str, headings: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    """Return a table with a row per class; of many classes, the first and the last."""
    names = list(rows)
    many = len(names) > MAX_CLASSES_SHOWN
    if many:
        title += f": the {EXTREMES_SHOWN} {extremes.format(EXTREMES_SHOWN)} of {len(names)}"
        names = names[:EXTREMES_SHOWN] + names[-EXTREMES_SHOWN:]
    table = _table(title, "class", *headings)
    for place, name in enumerate(names, start=1):
        table.add_row(name, *rows[name], end_section=many and place == EXTREMES_SHOWN)
    return table
