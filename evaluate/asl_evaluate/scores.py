"""The result of an evaluation, whatever its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asl_evaluate.coverage import Coverage
from asl_kit import __version__


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
    protocol: str = ""
    """Name of the protocol, which `asl_evaluate.protocols.find_protocol` fills in."""
    package: str | None = None
    """Name and version of the package that provides the protocol, filled in likewise; None: asl-kit."""

    @property
    def average_map(self) -> float | None:
        """MAP averaged over the thresholds; None if the protocol has no mAP."""
        values = self.mean_average_precision
        return sum(values) / len(values) if values else None

    @property
    def protocol_and_package(self) -> str:
        """The name of the protocol, with the package if another package provides it, for people."""
        return f"{self.protocol} ({self.package})" if self.package else self.protocol

    def named(self, protocol: str, package: str | None) -> Scores:
        """Return these scores and their parts with the name of their protocol, and the package that provides it."""
        parts = {name: part.named(protocol, package) for name, part in self.parts.items()}
        return replace(self, protocol=protocol, package=package, parts=parts)

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit eval --json`` writes."""
        document = {
            "protocol": self.protocol,
            "package": self.package or f"asl-kit {__version__}",
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
