"""ActivityNet's detection score: interpolated AP per class and tIoU threshold, averaged over classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import ClassScore, Metric, Scores
from asl_evaluate.task import Prepared, Task, prepare
from asl_kit.metrics import average_precision, recall_at_top

RECALL_PER_VIDEO = 100


def score(task: Task) -> Scores:
    """Score by `asl_kit.metrics.average_precision`, averaged over the classes with ground truth.

    References
    ----------
    ActivityNet, ``Evaluation/eval_detection.py``. With duplicates dropped: ActionFormer,
    ``libs/utils/metrics.py``, ``ANETdetection``.
    """
    prepared = prepare(task)
    truth, predicted, thresholds = prepared.truth, prepared.predicted, task.tiou_thresholds
    precision = average_precision(truth, predicted, num_classes=len(prepared.classes), tiou_thresholds=thresholds)
    recall = recall_at_top(truth, predicted, per_video=RECALL_PER_VIDEO, tiou_thresholds=thresholds)
    recalls = {f"recall@{RECALL_PER_VIDEO}": Metric(float(recall.mean()), tuple(recall.tolist()))}
    return mean_over_classes(task, prepared, precision, recall=recalls)


def mean_over_classes(
    task: Task,
    prepared: Prepared,
    precision: NDArray[np.float64],
    *,
    recall: Mapping[str, Metric] | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> Scores:
    """Return the scores that follow from the AP of each class, (num_thresholds, num_classes)."""
    num_truth, num_predicted = prepared.count_truth(), prepared.count_predicted()
    return Scores(
        split=task.split,
        vocabulary=prepared.vocabulary,
        tiou_thresholds=task.tiou_thresholds,
        mean_average_precision=tuple(np.nanmean(precision, axis=1).tolist()),
        per_class={
            name: ClassScore(tuple(precision[:, label].tolist()), num_truth[label], num_predicted[label])
            for label, name in enumerate(prepared.classes)
            if num_truth[label]
        },
        coverage=prepared.coverage,
        recall=recall or {},
        metrics=metrics or {},
    )


PROTOCOL = Protocol("activitynet", "interpolated AP, as ActivityNet's official script", score)
