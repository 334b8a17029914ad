"""How sure a mean average precision is: the bootstrap over videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interval:
    """A figure and where it may lie."""

    estimate: float
    """On the videos as they are."""
    low: float
    high: float
    """The interval [low, high]; it holds the estimate."""
    standard_error: float
    """Standard deviation over the resamples."""

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready dict."""
        return {
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "standard_error": self.standard_error,
        }


@dataclass(frozen=True)
class Confidence:
    """Mean average precision with its confidence intervals."""

    level: float
    """Share of intervals that hold the true value, if all assumptions hold: 0.95."""
    resamples: int
    seed: int
    per_tiou: tuple[Interval, ...]
    """mAP at each tIoU threshold."""
    average: Interval
    """mAP averaged over the thresholds."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "level": self.level,
            "resamples": self.resamples,
            "seed": self.seed,
            "mAP": [interval.to_json() for interval in self.per_tiou],
            "average_mAP": self.average.to_json(),
        }
