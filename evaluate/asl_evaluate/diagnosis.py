"""Why a score is what it is: errors by kind, and what makes segments hard, after DETAD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asl_evaluate.bootstrap import Confidence

TRUE_POSITIVE = "true positive"
ERROR_TYPES = ("double detection", "wrong label", "localization", "confusion", "background")
"""Kinds of false positive, in DETAD's order."""


@dataclass(frozen=True)
class ErrorShares:
    """What a rank range of the predictions is made of: one bar of the false-positive profile.

    With G ground-truth segments of a class, bar m is its predictions (m - 1) G + 1 to m G by
    score, of all classes together.
    """

    multiple: int
    """1 for the best predictions, rising."""
    predictions: int
    shares: Mapping[str, float]
    """Share of `TRUE_POSITIVE` and of each of `ERROR_TYPES`, averaged over the tIoU thresholds; they
    add to 1 (all are 0 if there are no predictions)."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"multiple": self.multiple, "predictions": self.predictions, "shares": dict(self.shares)}


@dataclass(frozen=True)
class ErrorImpact:
    """What the score would be without one kind of false positive."""

    error: str
    """One of `ERROR_TYPES`."""
    average_map: float
    """Average mAP without such predictions."""
    gain: float
    """By how much that is more."""
    average_normalized_map: float
    """Average mAP_N without such predictions."""
    normalized_gain: float
    """By how much that is more: DETAD's measure."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "error": self.error,
            "average_mAP": self.average_map,
            "gain": self.gain,
            "average_mAP_N": self.average_normalized_map,
            "gain_N": self.normalized_gain,
        }


@dataclass(frozen=True)
class Bin:
    """Ground-truth segments that are alike in one characteristic."""

    name: str
    """XS, S, M, L or XL."""
    low: float
    high: float
    """Values in (low, high]; the first bin holds its `low` too. The last may be infinite."""
    segments: int
    average_normalized_map: float | None
    """Average mAP_N on these segments alone; None if there are none."""
    missed: float | None
    """Share of these segments that no prediction finds, averaged over the tIoU thresholds; None if there are none."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; an infinite edge is null."""
        return {
            "name": self.name,
            "low": self.low,
            "high": self.high if self.high != float("inf") else None,
            "segments": self.segments,
            "average_mAP_N": self.average_normalized_map,
            "missed": self.missed,
        }


@dataclass(frozen=True)
class Characteristic:
    """How the score depends on one characteristic of the ground-truth segments."""

    name: str
    """length, coverage or instances."""
    unit: str
    """What its values are: seconds, share of the video, segments in the video."""
    bins_from: str
    """``DETAD`` if the bins are those of its paper for this dataset, ``quantiles`` else."""
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "name": self.name,
            "unit": self.unit,
            "bins_from": self.bins_from,
            "bins": [part.to_json() for part in self.bins],
        }


@dataclass(frozen=True)
class Diagnosis:
    """The result of a diagnosis. All scores and shares are in [0, 1]."""

    dataset: str
    split: str
    vocabulary: str
    duplicates: str
    """`keep` or `drop`."""
    tiou_thresholds: tuple[float, ...]
    videos: int
    segments: int
    predictions: int
    confidence: Confidence
    """mAP, as protocol ``activitynet`` has it, per threshold and on average, with intervals."""
    average_normalized_map: float
    """Average mAP_N of all predictions: what `characteristics` are compared with."""
    profile: tuple[ErrorShares, ...]
    """The best G predictions of each class, the next G, and so on."""
    predictions_in_profile: int
    """Those of all bars together; the impacts are measured on these."""
    average_map_in_profile: float
    average_normalized_map_in_profile: float
    """Scores of these predictions: what `impacts` are compared with."""
    impacts: tuple[ErrorImpact, ...]
    """In the order of `ERROR_TYPES`."""
    characteristics: tuple[Characteristic, ...]
    """Length, coverage, instances."""
    missed: tuple[float, ...]
    """Share of all segments that no prediction finds, at each threshold: the false negatives."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit diagnose --json`` writes."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "vocabulary": self.vocabulary,
            "duplicates": self.duplicates,
            "tiou": list(self.tiou_thresholds),
            "videos": self.videos,
            "segments": self.segments,
            "predictions": self.predictions,
            "confidence": self.confidence.to_json(),
            "average_mAP_N": self.average_normalized_map,
            "false_positives": {
                "profile": [bar.to_json() for bar in self.profile],
                "predictions": self.predictions_in_profile,
                "average_mAP": self.average_map_in_profile,
                "average_mAP_N": self.average_normalized_map_in_profile,
                "impacts": [impact.to_json() for impact in self.impacts],
            },
            "characteristics": [characteristic.to_json() for characteristic in self.characteristics],
            "false_negatives": {"missed": list(self.missed)},
        }
