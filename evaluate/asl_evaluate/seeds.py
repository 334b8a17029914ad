"""Whether one way of training is better than another: its scores on the same seeds, compared seed by seed.

The seeds stand for all others: the interval and the p-value are those of Student's t test of paired samples. They say
nothing about other videos; `asl_evaluate.comparison` does.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asl_evaluate.bootstrap import LEVEL, Interval


@dataclass(frozen=True)
class SeedDifference:
    """The differences of a score, seed by seed."""

    by_seed: Mapping[int, float]
    """Of the seeds that both have, in order."""
    mean: float
    interval: Interval | None
    """Of the mean; None with one seed."""
    p_value: float | None
    """Two-sided; None with one seed."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "by_seed": {str(seed): value for seed, value in self.by_seed.items()},
            "mean": self.mean,
            "interval": None if self.interval is None else self.interval.to_json(),
            "p_value": self.p_value,
        }


def compare_seeds(first: Mapping[int, float], second: Mapping[int, float]) -> SeedDifference | None:
    """Return second minus first on the seeds that both have; None if there are none.

    Parameters
    ----------
    first, second : mapping of int to float
        Scores by seed.
    """
    by_seed = {seed: second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())}
    if not by_seed:
        return None
    mean = statistics.fmean(by_seed.values())
    if len(by_seed) == 1:
        return SeedDifference(by_seed, mean, None, None)
    error, freedom = statistics.stdev(by_seed.values()) / math.sqrt(len(by_seed)), len(by_seed) - 1
    half = error * t_quantile(LEVEL, freedom)
    p_value = 1 - t_within(abs(mean) / error, freedom) if error else float(mean == 0)
    return SeedDifference(by_seed, mean, Interval(mean, mean - half, mean + half, error), p_value)


def t_within(t: float, freedom: int) -> float:
    """Return the probability that Student's t lies in [-t, t] (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    return _within(math.atan(t / math.sqrt(freedom)), freedom)


def t_quantile(level: float, freedom: int) -> float:
    """Return the t for which `t_within` is `level`."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # bisection, to the precision of a float
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    odd = freedom % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for power in range(3 - (not odd), freedom + 1, 2):  # terms up to cos(angle) ** (freedom - 2)
        total += term
        term *= math.cos(angle) ** 2 * (power - 1) / power
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
