"""Whether what a protocol of another package returns is as its contract says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from asl_evaluate.coverage import Coverage
from asl_evaluate.scores import Scores
from asl_evaluate.task import Task


def find_fault(scores: object, task: Task, *, by_frame: bool) -> str | None:
    """Return the first fault of scores, as ``what must be there, found ...``; None if there is none.

    Parameters
    ----------
    scores : object
        What the protocol returned.
    task : Task
        What it scored.
    by_frame : bool
        Whether it scores moments, without thresholds.
    """
    if not isinstance(scores, Scores):
        return f"Scores, found {scores!r:.60}"
    try:
        return next(_faults(scores, task, by_frame), None)
    except (AttributeError, TypeError, ValueError) as fault:
        return f"Scores whose fields have the types of its class, found {type(fault).__name__}: {fault}"


def _faults(scores: Scores, task: Task, by_frame: bool) -> Iterator[str]:
    thresholds = scores.tiou_thresholds
    if scores.split != task.split or not isinstance(scores.vocabulary, str):
        yield f"the split {task.split!r} and a vocabulary, found {scores.split!r} and {scores.vocabulary!r:.60}"
    if not isinstance(scores.coverage, Coverage):
        yield f"the coverage of the prepared task, found {scores.coverage!r:.60}"
    if by_frame and thresholds:
        yield f"no tiou_thresholds, because it is by_frame, found {thresholds!r:.60}"
    if not by_frame and not thresholds:
        yield f"the tiou_thresholds of its scores, or be by_frame, found {thresholds!r:.60}"
    if not (scores.mean_average_precision or scores.recall or scores.metrics):
        yield "mean_average_precision, recall or metrics, found none of them"
    yield from _row_faults("tiou_thresholds", thresholds, (len(thresholds),))
    columns = len(thresholds) or 1
    yield from _row_faults("mean_average_precision", scores.mean_average_precision, (0, columns))
    for name, found in scores.per_class.items():
        yield from _row_faults(f"per_class[{name!r}].average_precision", found.average_precision, (columns,))
        if not (isinstance(name, str) and isinstance(found.segments, int) and isinstance(found.predictions, int)):
            yield f"per_class with names and whole numbers, found {name!r}: {found!r:.90}"
    for field, metrics in (("recall", scores.recall), ("metrics", scores.metrics)):
        for name, metric in metrics.items():
            yield from _row_faults(f"{field}[{name!r}].mean", (metric.mean,), (1,))
            yield from _row_faults(f"{field}[{name!r}].per_tiou", metric.per_tiou, (0, len(thresholds)))
    for name, part in scores.parts.items():
        if fault := find_fault(part, task, by_frame=by_frame):
            yield f"{fault} (in parts[{name!r}])"


def _row_faults(what: str, values: Sequence[float], lengths: tuple[int, ...]) -> Iterator[str]:
    if len(values) not in lengths:
        wanted = " or ".join(map(str, dict.fromkeys(lengths)))
        yield f"{wanted} values of {what}, one for each of its thresholds, found {len(values)}"
    for value in values:
        if not isinstance(value, float | int) or not math.isfinite(value) or not 0 <= value <= 1:
            yield f"floats in [0, 1] as {what}, found {value!r:.60}"
