"""Average recall of proposals (AR@AN) and the area under its curve, as in ActivityNet's proposal task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import Metric, Scores
from asl_evaluate.task import Task, prepare
from asl_kit.metrics import proposal_recall

MAX_PER_VIDEO = 100
SHOWN = (1, 5, 10, 50, 100)


def score(task: Task) -> Scores:
    """Score by `asl_kit.metrics.proposal_recall`; labels are ignored, unknown ones too."""
    prepared = prepare(replace(task, class_agnostic=True))
    recall = proposal_recall(
        prepared.truth, prepared.predicted, tiou_thresholds=task.tiou_thresholds, max_per_video=MAX_PER_VIDEO
    )
    average = recall.mean(axis=0)
    area = float(
        np.sum(average[1:] + average[:-1]) / 2 / MAX_PER_VIDEO
    )  # trapezoidal rule, from 1 to the highest number
    return Scores(
        split=task.split,
        vocabulary=prepared.vocabulary,
        tiou_thresholds=task.tiou_thresholds,
        mean_average_precision=(),
        per_class={},
        coverage=prepared.coverage,
        recall={
            f"AR@{number}": Metric(float(average[number - 1]), tuple(recall[:, number - 1].tolist()))
            for number in SHOWN
        },
        metrics={"area under AR@AN": Metric(area)},
    )


PROTOCOL = Protocol(
    "proposals",
    "average recall AR@AN, as ActivityNet's proposal task",
    score,
    tiou="0.5:0.95:0.05",
    class_agnostic=True,
)
