"""Why a score is what it is: kinds of errors, and which segments are hard, after DETAD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.bootstrap import RESAMPLES, Confidence, confidence, draw_weights, resampled_map
from asl_evaluate.coverage import Coverage
from asl_evaluate.options import DEFAULTS, ScoringOptions
from asl_evaluate.scoring import read_tasks
from asl_evaluate.segment_bins import Binned, bin_segments
from asl_evaluate.task import Prepared, Task, prepare
from asl_kit.errors import PredictionError, error_context
from asl_kit.metrics import Matching, ScoredSegments, Segments, match_detections
from asl_kit.metrics.interpolation import interpolated_area
from asl_kit.metrics.matching import overlapping_pairs

TRUE_POSITIVE = "true positive"
ERROR_TYPES = ("double detection", "wrong label", "localization", "confusion", "background")
"""Kinds of false positive, in DETAD's order."""

MULTIPLES = 10
"""Bars of the profile: the best 10 G predictions of a class with G segments are analysed."""
MIN_TIOU = 0.1
"""A prediction below this tIoU with every segment of any class is on background."""
MIN_NORMALIZED_PRECISION = 0.05
"""A segment counts as missed if it is found only where normalized precision is at or below this."""


@dataclass(frozen=True)
class ErrorShares:
    """The kinds of predictions in a range of ranks: one bar of the false-positive profile.

    With G ground-truth segments of a class, bar m is its predictions (m - 1) G + 1 to m G by
    score, of all classes together.
    """

    multiple: int
    """1 for the best predictions."""
    predictions: int
    shares: Mapping[str, float]
    """Share of `TRUE_POSITIVE` and of each of `ERROR_TYPES`, averaged over the tIoU thresholds; they
    sum to 1 (all are 0 if there are no predictions)."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"multiple": self.multiple, "predictions": self.predictions, "shares": dict(self.shares)}


@dataclass(frozen=True)
class ErrorImpact:
    """The score without one kind of false positive."""

    error: str
    """One of `ERROR_TYPES`."""
    average_map: float
    """Average mAP without such predictions."""
    gain: float
    """Its gain over the score with them."""
    average_normalized_map: float
    """Average mAP_N without such predictions."""
    normalized_gain: float
    """Its gain over the score with them: DETAD's measure."""

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
    """Ground-truth segments that are similar in one characteristic."""

    name: str
    """XS, S, M, L or XL."""
    low: float
    high: float
    """Values in (low, high]; the first bin holds its `low` too. The last may be infinite."""
    segments: int
    average_normalized_map: float | None
    """Average mAP_N on these segments; None if there are none."""
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
    """Unit of its values: seconds, share of the video, segments in the video."""
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
    """mAP of protocol ``activitynet`` per threshold and on average, with intervals."""
    average_normalized_map: float
    """Average mAP_N of all predictions, to compare `characteristics` with."""
    profile: tuple[ErrorShares, ...]
    """The best G predictions of each class, the next G, and so on."""
    predictions_in_profile: int
    """Predictions of all bars together; the impacts are measured on these."""
    average_map_in_profile: float
    average_normalized_map_in_profile: float
    """Scores of these predictions, to compare `impacts` with."""
    impacts: tuple[ErrorImpact, ...]
    """In the order of `ERROR_TYPES`."""
    characteristics: tuple[Characteristic, ...]
    """Length, coverage, instances."""
    missed: tuple[float, ...]
    """Share of all segments that no prediction finds, at each threshold: the false negatives."""
    coverage: Coverage

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
            "coverage": self.coverage.to_json(),
        }


def diagnose(task: Task, *, resamples: int = RESAMPLES, seed: int = 0) -> Diagnosis:
    """Classify the errors of predictions, and split their score by characteristics of the segments.

    The definitions are those of DETAD. Among the best `MULTIPLES` G predictions of each class (G: its
    ground-truth segments), the kind of one that is matched to no segment depends on the segment of its
    video, of any class, that it overlaps most (of equal ones, one of its own class): at or above the
    tIoU threshold it is a double detection (same class) or has the wrong label (other class), at or
    above `MIN_TIOU` it is badly localized (same class) or confused (other class), else it is on
    background. The impact of a kind is the score without such predictions.

    Average mAP_N in a bin is measured on its segments, with all predictions except those that are
    matched to another segment (at any of the thresholds). A segment is missed if no prediction is
    matched to it, or only one after normalized precision has fallen to `MIN_NORMALIZED_PRECISION`.

    Predictions of classes without ground truth are ignored.

    Parameters
    ----------
    task : Task
        What to score.
    resamples : int
        Number of times that the videos are drawn for the intervals.
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    Diagnosis
        The same for any order of videos and predictions.

    Raises
    ------
    AslKitError
        As `prepare` and `draw_weights`.

    References
    ----------
    Alwassel, Caba Heilbron, Escorcia, Ghanem, *Diagnosing Error in Temporal Action Detectors*,
    ECCV 2018; code: HumamAlwassel/DETAD at 24f7d95.
    """
    prepared = prepare(task)
    weights = draw_weights(len(prepared.videos), resamples=resamples, seed=seed)
    truth, found = prepared.truth, prepared.predicted
    matching = match_detections(truth, found, num_classes=len(prepared.classes), tiou_thresholds=task.tiou_thresholds)
    ranking = _Ranking(prepared, matching)
    binned = bin_segments(prepared, task.annotations.dataset)
    normalized_map, characteristics = _by_characteristic(ranking, binned)
    profile = _Profile(ranking, task.tiou_thresholds)
    (base, base_normalized), impacts = profile.impacts()
    return Diagnosis(
        dataset=task.annotations.dataset,
        split=task.split,
        vocabulary=prepared.vocabulary,
        duplicates=task.duplicates,
        tiou_thresholds=task.tiou_thresholds,
        videos=len(prepared.videos),
        segments=len(truth),
        predictions=len(found),
        confidence=confidence(resampled_map(truth, found, matching, weights), seed=seed),
        average_normalized_map=normalized_map,
        profile=profile.bars(),
        predictions_in_profile=len(profile.position),
        average_map_in_profile=base,
        average_normalized_map_in_profile=base_normalized,
        impacts=impacts,
        characteristics=characteristics,
        missed=tuple(np.mean(ranking.missed, axis=1).tolist()),
        coverage=prepared.coverage,
    )


class _Ranking:
    """The predictions by class and descending score, with the segments that they are matched to.

    A position is an index into ``matching.order``.
    """

    def __init__(self, prepared: Prepared, matching: Matching) -> None:
        self.truth: Segments = prepared.truth
        self.found: ScoredSegments = prepared.predicted
        self.matching = matching
        self.num_truth = np.bincount(self.truth.label, minlength=len(prepared.classes))  # (C,)
        self.classes: list[int] = np.flatnonzero(self.num_truth).tolist()
        self.segments_per_class = len(self.truth) / len(self.classes)  # N of mAP_N
        self.label = self.found.label[matching.order].astype(np.int64)
        self.rank = np.arange(len(self.label)) - matching.first[self.label] + 1
        self.missed = np.array([self._missed(*pair) for pair in zip(matching.position, matching.truth, strict=True)])

    def of_class(self, label: int, threshold: int) -> slice:
        """Return which true positives at a threshold are of a class."""
        position, first = self.matching.position[threshold], self.matching.first
        return slice(*np.searchsorted(position, first[label : label + 2]).tolist())

    def _missed(self, position: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (M,): which segments are missed, given the true positives at one threshold."""
        label = self.label[position]
        hits = np.arange(len(position)) - np.searchsorted(label, label) + 1
        expected = hits / self.num_truth[label] * self.segments_per_class
        precision = expected / (expected + (self.rank[position] - hits))
        missed = np.ones(len(self.truth), bool)
        missed[truth[precision > MIN_NORMALIZED_PRECISION]] = False
        return missed


class _Profile:
    """The best predictions of each class, each with its kind of error."""

    def __init__(self, ranking: _Ranking, tiou_thresholds: Sequence[float]) -> None:
        self.ranking = ranking
        num_truth = np.maximum(ranking.num_truth[ranking.label], 1)
        multiple = (ranking.rank - 1) // num_truth + 1
        has_truth = ranking.num_truth[ranking.label] > 0
        self.position = np.flatnonzero(has_truth & (multiple <= MULTIPLES))  # (P,), rising
        self.multiple = multiple[self.position]
        best_tiou, same_class = self._closest(min(MIN_TIOU, *tiou_thresholds))
        kinds = []
        for threshold, hits in zip(tiou_thresholds, ranking.matching.position, strict=True):
            near = np.where(best_tiou >= MIN_TIOU, np.where(same_class, 3, 4), 5)
            kind = np.where(best_tiou >= threshold, np.where(same_class, 1, 2), near)
            kind[np.isin(self.position, hits)] = 0
            kinds.append(kind)
        self.kind = np.array(kinds).reshape(len(tiou_thresholds), -1)
        """(T, P): 0 for a true positive, i + 1 for ``ERROR_TYPES[i]``."""

    def _closest(self, min_tiou: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return (P,): the highest tIoU with any segment, 0 if below `min_tiou`; whether its class is the same."""
        truth = self.ranking.truth
        found = self.ranking.found.take(self.ranking.matching.order[self.position])
        pairs = overlapping_pairs(
            replace(truth, label=np.zeros_like(truth.label)),
            replace(found, label=np.zeros_like(found.label)),
            min_tiou,
        )
        best_tiou, same_class = np.zeros(len(found)), np.zeros(len(found), bool)
        np.maximum.at(best_tiou, pairs.detection, pairs.tiou)
        is_best = pairs.tiou == best_tiou[pairs.detection]
        right = truth.label[pairs.truth] == found.label[pairs.detection]
        same_class[pairs.detection[is_best & right]] = True
        return best_tiou, same_class

    def bars(self) -> tuple[ErrorShares, ...]:
        """Return the shares of each multiple of G."""
        names = (TRUE_POSITIVE, *ERROR_TYPES)
        bars = []
        for multiple in range(1, MULTIPLES + 1):
            kind = self.kind[:, self.multiple == multiple]
            shares = np.bincount(kind.ravel(), minlength=len(names)) / max(kind.size, 1)
            bars.append(ErrorShares(multiple, kind.shape[1], dict(zip(names, shares.tolist(), strict=True))))
        return tuple(bars)

    def impacts(self) -> tuple[tuple[float, float], tuple[ErrorImpact, ...]]:
        """Return average mAP and mAP_N of these predictions, and both without each kind of error."""
        ranking, columns = self.ranking, 1 + len(ERROR_TYPES)
        first = np.searchsorted(self.position, ranking.matching.first)
        total = np.zeros((2, columns))
        for label in ranking.classes:
            num_truth = np.full(columns, float(ranking.num_truth[label]))
            for kind in self.kind[:, first[label] : first[label + 1]]:
                kept = kind[:, None] != np.append(-1, np.arange(1, columns))  # column 0: all
                rank = np.cumsum(kept, axis=0)[kind == 0].astype(np.float64)
                hits = np.ones_like(rank)
                total[0] += interpolated_area(hits, rank, num_truth)
                total[1] += interpolated_area(hits, rank, num_truth, normalize_to=ranking.segments_per_class)
        plain, normalized = (total / (len(ranking.classes) * len(self.kind))).tolist()
        impacts = tuple(
            ErrorImpact(
                error=error,
                average_map=plain[column],
                gain=plain[column] - plain[0],
                average_normalized_map=normalized[column],
                normalized_gain=normalized[column] - normalized[0],
            )
            for column, error in enumerate(ERROR_TYPES, start=1)
        )
        return (plain[0], normalized[0]), impacts


def _by_characteristic(ranking: _Ranking, binned: Sequence[Binned]) -> tuple[float, tuple[Characteristic, ...]]:
    """Return average mAP_N of all segments, and what each bin has."""
    member = [np.ones(len(ranking.truth), bool)]
    member += [part.bin == number for part in binned for number in range(len(part.bin_names))]
    scores = iter(_average_normalized_map(ranking, np.array(member).T).tolist())
    overall = next(scores)
    result = []
    for part in binned:
        bins = []
        for number, name in enumerate(part.bin_names):
            inside, score = part.bin == number, next(scores)
            count = int(np.sum(inside))
            bins.append(
                Bin(
                    name=name,
                    low=part.edges[number],
                    high=part.edges[number + 1],
                    segments=count,
                    average_normalized_map=score if count else None,
                    missed=float(np.mean(ranking.missed[:, inside])) if count else None,
                )
            )
        result.append(Characteristic(part.name, part.unit, part.bins_from, tuple(bins)))
    return overall, tuple(result)


def _average_normalized_map(ranking: _Ranking, member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (S,): average mAP_N on each of S sets of segments; `member` is (M, S). NaN for an empty set."""
    matching = ranking.matching
    num_thresholds, num_sets = len(matching.position), member.shape[1]
    total, classes_there = np.zeros(num_sets), np.zeros(num_sets)
    for label in ranking.classes:
        num_truth = np.sum(member[ranking.truth.label == label], axis=0).astype(np.float64)
        classes_there += num_truth > 0
        rows = [ranking.of_class(label, number) for number in range(num_thresholds)]
        found = [column[row] for column, row in zip(matching.position, rows, strict=True)]
        at = np.unique(np.concatenate(found))
        kept = np.ones((len(at), num_sets), bool)
        for position, segments, row in zip(found, matching.truth, rows, strict=True):
            kept[np.searchsorted(at, position)] &= member[segments[row]]
        rank = ranking.rank[at][:, None] - np.cumsum(~kept, axis=0)
        for position in found:
            place = np.searchsorted(at, position)
            area = interpolated_area(
                kept[place].astype(np.float64),
                rank[place].astype(np.float64),
                num_truth,
                normalize_to=ranking.segments_per_class,
            )
            total += np.where(num_truth > 0, area, 0.0) / num_thresholds
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float64] = total / classes_there
    return result


def diagnose_file(
    predictions: str | Path,
    annotations: str | Path,
    options: ScoringOptions = DEFAULTS,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Diagnosis:
    """Diagnose a predictions file; parameters as for `evaluate_predictions` and `diagnose`.

    Raises
    ------
    AslKitError
        As `diagnose` and `read_tasks`.
    """
    (task,) = read_tasks([predictions], annotations, options)
    with error_context(predictions, PredictionError):
        return diagnose(task, resamples=resamples, seed=seed)
