"""Measure whether the intervals and p-values of the bootstrap over videos hold what they promise.

    python tests/benchmarks/bootstrap_calibration.py [--videos 200 --classes 20 --sets 200]

Sets of videos are drawn from one made-up world: videos with one class, more or less easy ones, and two
detectors of equal quality. Printed are the share of 95 % intervals that hold the mean score of all sets
(should be 0.95), both as the package makes them and without centring, and the share of p-values below
0.05 (should be 0.05). 200 sets of 200 videos take about 10 s.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.bootstrap import draw_weights, interval, resampled_map
from asl_evaluate.comparison import find_difference
from asl_kit.metrics import ScoredSegments, Segments, match_detections

TIOU = (0.3, 0.5, 0.7)


def make_set(videos: int, classes: int, seed: int) -> tuple[Segments, list[ScoredSegments]]:
    """Return the ground truth of a set of videos, and what two detectors of equal quality find."""
    rng = np.random.default_rng(seed)
    class_of = rng.integers(classes, size=videos)
    ease = rng.normal(0, 0.7, videos)
    count = 1 + rng.poisson(5, videos)
    video = np.repeat(np.arange(videos), count)
    start_s = 20.0 * (np.arange(len(video)) - np.repeat(np.cumsum(count) - count, count))
    truth = Segments(video, start_s, start_s + 10, class_of[video])
    found = []
    for _ in range(2):
        parts = []
        for recall, surer in ((0.8, 1.2), (0.4, 0.0)):  # most segments are found, some twice
            hit = rng.uniform(size=len(truth)) < recall
            late_s = np.abs(rng.normal(0, 2, len(truth)))
            score = rng.normal(surer, 1, len(truth)) + ease[video]
            columns = (video, start_s + late_s, truth.end_s, truth.label, score)
            parts.append(tuple(column[hit] for column in columns))
        wrong = np.repeat(np.arange(videos), rng.poisson(12, videos))
        wrong_start_s = rng.uniform(0, 100, len(wrong))
        label = np.where(rng.uniform(size=len(wrong)) < 0.6, class_of[wrong], rng.integers(classes, size=len(wrong)))
        score = rng.normal(0, 1, len(wrong)) + 0.5 * ease[wrong]
        parts.append((wrong, wrong_start_s, wrong_start_s + 10, label, score))
        found.append(ScoredSegments(*(np.concatenate(columns) for columns in zip(*parts, strict=True))))
    return truth, found


def resample(videos: int, classes: int, seed: int, resamples: int) -> list[NDArray[np.float64]]:
    """Return the average mAP of both detectors on one set of videos, as it is and resampled: (1 + B,) each."""
    truth, found = make_set(videos, classes, seed)
    weights = draw_weights(videos, resamples=resamples, seed=seed)
    scores = []
    for detections in found:
        matching = match_detections(truth, detections, num_classes=classes, tiou_thresholds=TIOU)
        scores.append(np.mean(resampled_map(truth, detections, matching, weights), axis=0))
    return scores


def measure(videos: int, classes: int, sets: int, resamples: int) -> dict[str, float]:
    """Return the shares that the script prints."""
    drawn = [resample(videos, classes, seed, resamples) for seed in range(sets)]
    expected = float(np.mean([scores[0][0] for scores in drawn]))
    intervals = {
        name: [interval(scores[0], centred=centred) for scores in drawn]
        for name, centred in (("centred", True), ("not centred", False))
    }
    p_value = np.array([find_difference(*scores, num_videos=videos).p_value for scores in drawn])
    return {
        "mean score": expected,
        **{
            f"intervals ({name}) that hold it": float(np.mean([row.low <= expected <= row.high for row in rows]))
            for name, rows in intervals.items()
        },
        "p-values below 0.05": float(np.mean(p_value < 0.05)),
        "p-values below 0.2": float(np.mean(p_value < 0.2)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=200)
    arguments = parser.parse_args()
    for name, share in measure(**vars(arguments)).items():
        print(f"{name}: {share:.3f}")


if __name__ == "__main__":
    main()
