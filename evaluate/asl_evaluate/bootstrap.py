"""How sure a mean average precision is: the bootstrap over videos.

Videos are drawn with replacement, as many as there are; a video that is drawn twice counts
twice, with its ground truth and its predictions. Predictions find segments of their own video
only, so the matching is done once, and a resample is nothing but a weight for each video.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import UsageError
from asl_kit.metrics import Matching, ScoredSegments, Segments
from asl_kit.metrics.interpolation import interpolated_area

LEVEL = 0.95
RESAMPLES = 1000
MIN_RESAMPLES = 100
FEW_VIDEOS = 30
"""With fewer, the resamples say little about other videos."""

_COLUMNS_AT_ONCE = 250  # resamples; bounds the memory
_POSITIONS_AT_ONCE = 32  # few, so that the predictions before them are of few videos


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    """On the original videos."""
    low: float
    high: float
    """The interval [low, high]; it contains the estimate."""
    standard_error: float
    """Standard deviation over the resamples."""

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True)
class Confidence:
    """Mean average precision with its confidence intervals."""

    level: float
    """Nominal share of such intervals that contain the true value: 0.95."""
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


def few_videos_warning(num_videos: int) -> str | None:
    """Return a warning if there are fewer than `FEW_VIDEOS`, else None."""
    if num_videos >= FEW_VIDEOS:
        return None
    few = "1 video is" if num_videos == 1 else f"{num_videos} videos are"
    return f"{few} too few for reliable intervals and p-values"


def draw_weights(num_videos: int, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return how often each video occurs: once in column 0, as often as drawn in the others.

    Parameters
    ----------
    num_videos : int
        V, 1 or more.
    resamples : int
        B, `MIN_RESAMPLES` or more.
    seed : int
        0 or more; the same seed draws the same videos.

    Returns
    -------
    (V, 1 + B) float
        Whole numbers; each column adds to V.

    Raises
    ------
    UsageError
        If there are too few resamples, or the seed is negative.
    """
    if resamples < MIN_RESAMPLES:
        raise UsageError(f"--resamples: expected {MIN_RESAMPLES} or more, found {resamples}")
    if seed < 0:
        raise UsageError(f"--seed: expected 0 or more, found {seed}")
    drawn = np.random.default_rng(seed).multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=resamples)
    return np.vstack([np.ones(num_videos), drawn]).T.copy()


def resampled_map(
    truth: Segments, detections: ScoredSegments, matching: Matching, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mAP at each threshold in each resample.

    Classes without ground truth in a resample are left out of its mean.

    Parameters
    ----------
    truth, detections : Segments, ScoredSegments
        Of videos numbered from 0.
    matching : Matching
        Which detections are matched to which segments.
    weights : (V, S) float
        How often each video occurs in each resample: `draw_weights`.

    Returns
    -------
    (num_thresholds, S) float
        NaN in a resample without any ground truth.
    """
    num_videos, num_columns = weights.shape
    video = detections.video[matching.order].astype(np.int64)
    total = np.zeros((len(matching.position), num_columns))
    classes_there = np.zeros(num_columns)
    for label in np.unique(truth.label).tolist():
        in_class = np.bincount(truth.video[truth.label == label], minlength=num_videos).astype(np.float64)
        num_truth = in_class @ weights
        classes_there += num_truth > 0
        first, last = matching.first[label], matching.first[label + 1]
        found = [row[np.searchsorted(row, first) : np.searchsorted(row, last)] for row in matching.position]
        at = np.unique(np.concatenate(found))
        if not len(at):
            continue
        for begin in range(0, num_columns, _COLUMNS_AT_ONCE):
            columns = slice(begin, begin + _COLUMNS_AT_ONCE)
            some = weights[:, columns]
            rank = _weight_down_to(at, first, video, some)
            for row, position in zip(total, found, strict=True):
                area = interpolated_area(some[video[position]], rank[np.searchsorted(at, position)], num_truth[columns])
                row[columns] += np.where(num_truth[columns] > 0, area, 0.0)
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float64] = total / classes_there
    return result


def _weight_down_to(
    at: NDArray[np.int64], first: int, video: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (K, S): the weight of the predictions at positions `first` to ``at[k]``, both included.

    ``video[p]`` is the video of the prediction at position p. Predictions between two of the
    positions are counted by video first, which keeps the work small.
    """
    begin = np.append(first, at[:-1] + 1)
    parts = []
    for low in range(0, len(at), _POSITIONS_AT_ONCE):
        begins, ends = begin[low : low + _POSITIONS_AT_ONCE], at[low : low + _POSITIONS_AT_ONCE] + 1
        row = np.repeat(np.arange(len(begins)), ends - begins)
        videos, column = np.unique(video[begins[0] : ends[-1]], return_inverse=True)
        count = np.bincount(row * len(videos) + column, minlength=len(begins) * len(videos))
        parts.append(count.reshape(len(begins), len(videos)).astype(np.float64) @ weights[videos])
    return np.cumsum(np.concatenate(parts), axis=0)


def interval(values: NDArray[np.float64], *, centred: bool) -> Interval:
    """Return the interval that contains `LEVEL` of the resamples.

    A video that is drawn twice makes a class look easier than two videos do, so mAP is higher on
    resamples than on the original videos. `centred` shifts the resamples so that their mean is the
    estimate: the interval then fits the mAP expected on other videos of the same kind and number
    (``tests/benchmarks/bootstrap_calibration.py``). In the difference of two scores this bias cancels.

    Parameters
    ----------
    values : (1 + B,) float
        The estimate, then the value of each resample. NaN (no ground truth drawn) is left out.
    centred : bool
        True for a score, whose interval stays in [0, 1]. False for a difference of scores.
    """
    estimate, drawn = float(values[0]), values[1:][~np.isnan(values[1:])]
    if not len(drawn):
        return Interval(estimate, estimate, estimate, 0.0)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    if centred:
        shift = estimate - float(np.mean(drawn))
        low, high = max(low + shift, 0.0), min(high + shift, 1.0)
    return Interval(estimate, min(low, estimate), max(high, estimate), float(np.std(drawn)))


def confidence(resampled: NDArray[np.float64], *, seed: int) -> Confidence:
    """Return intervals of the mAP from its resamples, (num_thresholds, 1 + B): `resampled_map`."""
    return Confidence(
        level=LEVEL,
        resamples=resampled.shape[1] - 1,
        seed=seed,
        per_tiou=tuple(interval(row, centred=True) for row in resampled),
        average=interval(np.mean(resampled, axis=0), centred=True),
    )
