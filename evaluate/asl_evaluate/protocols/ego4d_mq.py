"""Ego4D Moment Queries: mAP and recall@kx as the challenge, and recall@kx as ActionFormer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.protocols.activitynet import mean_over_classes
from asl_evaluate.protocols.epic_kitchens import as_linspace
from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import Metric, Scores
from asl_evaluate.task import Task, prepare
from asl_kit.metrics import (
    average_precision,
    class_recall_at_multiples,
    drop_duplicates,
    pooled_recall_at_multiples,
)

MULTIPLES = (1, 2, 3, 4, 5)
"""The k of the challenge's script. The challenge ranks by average mAP and reports recall@1x at tIoU 0.5."""


def score(task: Task) -> Scores:
    """Score mAP and recall@kx like the challenge, and recall@kx like ActionFormer.

    `Scores.recall` holds the challenge's (`asl_kit.metrics.pooled_recall_at_multiples`: predictions
    in the order of the file); `Scores.metrics`, as "class recall@kx", ActionFormer's
    (`asl_kit.metrics.class_recall_at_multiples`: by score, averaged over classes, without
    duplicates whatever the task says).

    A clip without predictions counts as a clip without matches; the official recall stops with an error there.

    References
    ----------
    EGO4D/episodic-memory, ``MQ/Evaluation/ego4d``: ``eval_detection.py``, ``get_retrieval_performance.py``.
    ActionFormer, ``libs/utils/metrics.py``, ``wrapper_compute_topkx_recall``.
    """
    prepared = prepare(task)
    truth, predicted, num_classes = prepared.truth, prepared.predicted, len(prepared.classes)
    thresholds = task.tiou_thresholds
    precision = average_precision(truth, predicted, num_classes=num_classes, tiou_thresholds=thresholds)
    pooled = pooled_recall_at_multiples(truth, predicted, multiples=MULTIPLES, tiou_thresholds=thresholds)
    distinct = truth.take(drop_duplicates(truth))
    by_class = class_recall_at_multiples(
        distinct, predicted, num_classes=num_classes, multiples=MULTIPLES, tiou_thresholds=as_linspace(thresholds)
    )
    metrics = _metrics("class recall", np.nanmean(by_class, axis=2)) if len(distinct) else {}
    return mean_over_classes(task, prepared, precision, recall=_metrics("recall", pooled), metrics=metrics)


def _metrics(name: str, values: NDArray[np.float64]) -> dict[str, Metric]:
    """Return metrics by name from values (num_thresholds, num_multiples)."""
    return {
        f"{name}@{multiple}x": Metric(float(column.mean()), tuple(column.tolist()))
        for multiple, column in zip(MULTIPLES, values.T, strict=True)
    }


PROTOCOL = Protocol("ego4d-mq", "mAP and recall@kx, as the Ego4D Moment Queries challenge", score, tiou="0.1:0.5:0.1")
