"""The result of an evaluation, whatever its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asl_evaluate.coverage import Coverage


@dataclass(frozen=True)
class ClassScore:
    """The score of one class."""

    average_precision: tuple[float, ...]
    """At each tIoU threshold; one value if the protocol has none."""
    segments: int
    """Ground-truth segments."""
    predictions: int

    @property
    def mean(self) -> float:
        """Average precision, averaged over the tIoU thresholds."""
        return sum(self.average_precision) / len(self.average_precision)


@dataclass(frozen=True)
class Metric:
    """One of a protocol's metrics besides mAP, such as recall@1x, in [0, 1]."""

    mean: float
    per_tiou: tuple[float, ...] = ()
    """At each tIoU threshold; empty if the metric does not depend on it."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"mean": self.mean, "per_tiou": list(self.per_tiou)}


@dataclass(frozen=True)
class Scores:
    """The result of an evaluation. All scores are shares, in [0, 1]."""

    protocol: str
    split: str
    vocabulary: str
    tiou_thresholds: tuple[float, ...]
    """Empty for protocols that score frames."""
    mean_average_precision: tuple[float, ...]
    """mAP at each threshold: the mean over the classes that have ground truth. One value if the
    protocol has no thresholds, none if it has no mAP."""
    per_class: Mapping[str, ClassScore]
    """Classes with ground truth, in order of the vocabulary."""
    coverage: Coverage
    recall: Mapping[str, Metric] = field(default_factory=dict)
    """Recalls that the protocol reports, by name (recall@100, recall@1x), in the order in which they are shown."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Other metrics that the protocol reports, by name."""
    parts: Mapping[str, Scores] = field(default_factory=dict)
    """Scores by task if a benchmark has several, such as verb, noun and action; the first equals this one."""

    @property
    def average_map(self) -> float | None:
        """MAP averaged over the thresholds; None if the protocol has no mAP."""
        values = self.mean_average_precision
        return sum(values) / len(values) if values else None

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit eval --json`` writes."""
        document = {
            "protocol": self.protocol,
            "split": self.split,
            "vocabulary": self.vocabulary,
            "tiou": list(self.tiou_thresholds),
            "mAP": list(self.mean_average_precision),
            "average_mAP": self.average_map,
            "per_class": {
                name: {
                    "AP": list(score.average_precision),
                    "average_AP": score.mean,
                    "segments": score.segments,
                    "predictions": score.predictions,
                }
                for name, score in self.per_class.items()
            },
            "recall": {name: metric.to_json() for name, metric in self.recall.items()},
            "figures": {name: metric.to_json() for name, metric in self.metrics.items()},
            "coverage": self.coverage.to_json(),
        }
        if self.parts:
            document["parts"] = {name: part.to_json() for name, part in self.parts.items()}
        return document
