"""THUMOS14's own tool: strict tIoU, AP without interpolation, ambiguous stretches ignored."""

from __future__ import annotations

import numpy as np

from asl_evaluate.protocols.activitynet import mean_over_classes
from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import Scores
from asl_evaluate.task import Prepared, Task, prepare
from asl_kit.metrics import Segments, thumos14_average_precision


def score(task: Task) -> Scores:
    """Score by `asl_kit.metrics.thumos14_average_precision`, averaged over the classes with ground truth.

    Ambiguous stretches are those that the annotations list as ignored.
    """
    prepared = prepare(task)
    precision = thumos14_average_precision(
        prepared.truth,
        prepared.predicted,
        _ignored(prepared),
        num_classes=len(prepared.classes),
        tiou_thresholds=task.tiou_thresholds,
    )
    return mean_over_classes(task, prepared, precision)


def _ignored(prepared: Prepared) -> Segments:
    rows = [
        (number, span.start, span.end)
        for number, video in enumerate(prepared.videos.values())
        for span in video.ignored
    ]
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Segments(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], np.zeros(len(table), np.int64))


PROTOCOL = Protocol("thumos14", "AP not interpolated and tIoU strict, as THUMOS14's official tool", score)
