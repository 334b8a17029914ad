"""Whether one set of predictions is better than another: a paired bootstrap test over videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.bootstrap import LEVEL, RESAMPLES, Interval, draw_weights, interval, resampled_map
from asl_evaluate.coverage import Coverage
from asl_evaluate.options import DEFAULTS, ScoringOptions
from asl_evaluate.scoring import read_tasks
from asl_evaluate.task import Prepared, Task, prepare
from asl_kit.errors import PredictionError, error_context
from asl_kit.metrics import average_precision, match_detections


@dataclass(frozen=True)
class Difference:
    """One score of both sets of predictions."""

    first: Interval
    second: Interval
    difference: Interval
    """Second minus first."""
    p_value: float
    """In (0, 1]; two-sided."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "a": self.first.to_json(),
            "b": self.second.to_json(),
            "difference": self.difference.to_json(),
            "p_value": self.p_value,
        }


@dataclass(frozen=True)
class ClassDifference:
    """The average precision of one class, averaged over the thresholds."""

    first: float
    second: float
    segments: int
    """Ground-truth segments."""

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"a": self.first, "b": self.second, "difference": self.difference, "segments": self.segments}


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison: the first set of predictions is A, the second B."""

    dataset: str
    split: str
    vocabulary: str
    duplicates: str
    """`keep` or `drop`."""
    tiou_thresholds: tuple[float, ...]
    videos: int
    segments: int
    level: float
    """Confidence level of the intervals."""
    resamples: int
    seed: int
    average: Difference
    """Of mAP averaged over the thresholds."""
    per_tiou: tuple[Difference, ...]
    """Of mAP at each threshold."""
    per_class: Mapping[str, ClassDifference]
    """Classes with ground truth, in order of the vocabulary."""
    coverage: tuple[Coverage, Coverage]
    """The coverage of A and of B."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit compare --json`` writes."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "vocabulary": self.vocabulary,
            "duplicates": self.duplicates,
            "tiou": list(self.tiou_thresholds),
            "videos": self.videos,
            "segments": self.segments,
            "level": self.level,
            "resamples": self.resamples,
            "seed": self.seed,
            "average_mAP": self.average.to_json(),
            "mAP": [row.to_json() for row in self.per_tiou],
            "per_class": {name: row.to_json() for name, row in self.per_class.items()},
            "coverage": {name: part.to_json() for name, part in zip("ab", self.coverage, strict=True)},
        }


def compare(first: Task, second: Task, *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare two sets of predictions for the same videos by a paired bootstrap.

    The videos are drawn with replacement, the same ones for both sets, so the difficulty of a video
    cancels out. The p-value is twice the share of resamples in which the difference is 0 or has the
    other sign; the original videos count as one of them, so it is never 0. It agrees with the
    interval: the 95 % interval excludes 0 where the p-value is below 0.05.

    A permutation test, which swaps the two sets' predictions video by video, would rank scores of
    both sets in one list, and take different scales of scores for different quality.

    Parameters
    ----------
    first, second : Task
        Tasks that differ only in their detections.
    resamples : int
        Number of times that the videos are drawn.
    seed : int
        The same seed gives the same result.

    Raises
    ------
    AslKitError
        As `prepare` and `draw_weights`.
    """
    return _compare(first, (prepare(first), prepare(second)), resamples, seed)


def compare_files(
    first: str | Path,
    second: str | Path,
    annotations: str | Path,
    options: ScoringOptions = DEFAULTS,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two predictions files; parameters as for `evaluate_predictions` and `compare`.

    Raises
    ------
    AslKitError
        As `compare` and `read_tasks`.
    """
    tasks = read_tasks([first, second], annotations, options)
    prepared = []
    for path, task in zip((first, second), tasks, strict=True):
        with error_context(path, PredictionError):
            prepared.append(prepare(task))
    return _compare(tasks[0], (prepared[0], prepared[1]), resamples, seed)


def _compare(task: Task, prepared: tuple[Prepared, Prepared], resamples: int, seed: int) -> Comparison:
    weights = draw_weights(len(prepared[0].videos), resamples=resamples, seed=seed)
    first, second = (_resampled(part, task.tiou_thresholds, weights) for part in prepared)
    return Comparison(
        dataset=task.annotations.dataset,
        split=task.split,
        vocabulary=prepared[0].vocabulary,
        duplicates=task.duplicates,
        tiou_thresholds=task.tiou_thresholds,
        videos=len(prepared[0].videos),
        segments=len(prepared[0].truth),
        level=LEVEL,
        resamples=resamples,
        seed=seed,
        average=find_difference(np.mean(first, axis=0), np.mean(second, axis=0), num_videos=len(weights)),
        per_tiou=tuple(find_difference(*rows, num_videos=len(weights)) for rows in zip(first, second, strict=True)),
        per_class=_per_class(prepared, task.tiou_thresholds),
        coverage=(prepared[0].coverage, prepared[1].coverage),
    )


def _resampled(
    prepared: Prepared, tiou_thresholds: Sequence[float], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    matching = match_detections(
        prepared.truth, prepared.predicted, num_classes=len(prepared.classes), tiou_thresholds=tiou_thresholds
    )
    return resampled_map(prepared.truth, prepared.predicted, matching, weights)


def find_difference(first: NDArray[np.float64], second: NDArray[np.float64], *, num_videos: int) -> Difference:
    """Return one score of both sets, with intervals and p-value.

    Parameters
    ----------
    first, second : (1 + B,) float
        The score on the original videos, then on each resample; the same resamples for both.
    num_videos : int
        Number of videos. By chance, one side is better on all of them with probability
        ``2 ** (1 - num_videos)``; the p-value is at least that.
    """
    change = second - first
    drawn = change[1:][~np.isnan(change[1:])]
    other_side = int(min(np.sum(drawn <= 0), np.sum(drawn >= 0)))
    return Difference(
        first=interval(first, centred=True),
        second=interval(second, centred=True),
        difference=interval(change, centred=False),
        p_value=min(1.0, max(2 * (1 + other_side) / (1 + len(drawn)), 2.0 ** (1 - num_videos))),
    )


def _per_class(prepared: tuple[Prepared, Prepared], tiou_thresholds: Sequence[float]) -> dict[str, ClassDifference]:
    first, second = (
        average_precision(
            part.truth, part.predicted, num_classes=len(part.classes), tiou_thresholds=tiou_thresholds
        ).mean(axis=0)
        for part in prepared
    )
    num_truth = prepared[0].count_truth()
    return {
        name: ClassDifference(float(first[label]), float(second[label]), num_truth[label])
        for label, name in enumerate(prepared[0].classes)
        if num_truth[label]
    }
