"""Time the diagnosis and the paired comparison, and 1,000 resamples against evaluating resamples one by one.

    python tests/benchmarks/bootstrap_speed.py [--per-video 200]

The set has the shape of THUMOS14's test videos: 213 videos, 20 classes, 3,358 segments. "One by one" writes
out some resamples, copies of videos under names of their own, and scores each with `average_precision`; the
results must agree.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from asl_evaluate.bootstrap import draw_weights, resampled_map
from asl_evaluate.comparison import compare
from asl_evaluate.diagnosis import diagnose
from asl_evaluate.task import Prepared, Task, prepare
from asl_kit.annotations import AnnotationSet
from asl_kit.detections.table import Detections
from asl_kit.metrics import average_precision, match_detections
from asl_kit.metrics.segments import Segments

VIDEOS, CLASSES, SEGMENTS = 213, 20, 3_358
TIOU = (0.3, 0.4, 0.5, 0.6, 0.7)
ONE_BY_ONE = 20


def make_task(per_video: int, *, seed: int) -> Task:
    """Return ground truth, the same for any seed, and predictions of which half lie near a segment."""
    rng = np.random.default_rng(0)
    names = [f"class {number:02d}" for number in range(CLASSES)]
    ids = [f"video {number:03d}" for number in range(VIDEOS)]
    class_of = rng.integers(CLASSES, size=VIDEOS)
    duration_s = rng.uniform(60, 500, VIDEOS)
    video = np.sort(rng.integers(VIDEOS, size=SEGMENTS))
    length_s = np.minimum(rng.exponential(4, SEGMENTS) + 0.3, duration_s[video] / 2)
    start_s = rng.uniform(0, 1, SEGMENTS) * (duration_s[video] - length_s)
    documents = {
        name: {
            "split": "test",
            "duration": float(duration_s[number]),
            "segments": [
                {
                    "start": float(start_s[row]),
                    "end": float(start_s[row] + length_s[row]),
                    "labels": {"action": names[class_of[number]]},
                }
                for row in np.flatnonzero(video == number)
            ],
        }
        for number, name in enumerate(ids)
    }
    fields = {
        "dataset": "own",
        "source": {"converter": "csv", "asl_kit": "0"},
        "vocabularies": {"action": names},
    }
    annotations = AnnotationSet.model_validate(fields | {"videos": documents})

    rng = np.random.default_rng(seed)
    near = np.concatenate(
        [rng.choice(np.flatnonzero(video == number), per_video) for number in range(VIDEOS) if (video == number).any()]
    )
    count, found_in = len(near), video[near]
    is_near = rng.uniform(size=count) < 0.5
    spread_s = np.where(is_near, 0.2, 3.0) * length_s[near]
    found_start_s = start_s[near] + rng.normal(0, 1, count) * spread_s
    label = np.where(
        rng.uniform(size=count) < 0.7,
        class_of[found_in],
        rng.integers(CLASSES, size=count),
    )
    detections = Detections(
        video_ids=tuple(ids),
        video=found_in,
        start_s=found_start_s,
        end_s=np.maximum(
            found_start_s + 0.1,
            start_s[near] + length_s[near] + rng.normal(0, 1, count) * spread_s,
        ),
        score=rng.normal(is_near, 1.0),
        label=label,
        class_names=tuple(names),
    )
    return Task(
        detections=detections,
        annotations=annotations,
        split="test",
        tiou_thresholds=TIOU,
    )


def write_out(prepared: Prepared, drawn: np.ndarray) -> float:
    """Return the average mAP of one resample whose videos are written out as often as they are drawn."""
    parts: list[list[Segments]] = [[], []]
    for number, video in enumerate(np.repeat(np.arange(len(drawn)), drawn.astype(int)).tolist()):
        for part, segments in zip(parts, (prepared.truth, prepared.predicted), strict=True):
            rows = segments.take(segments.video == video)
            part.append(type(rows)(**{**vars(rows), "video": np.full(len(rows), number)}))
    truth, predicted = (
        type(part[0])(**{name: np.concatenate([getattr(rows, name) for rows in part]) for name in vars(part[0])})
        for part in parts
    )
    found = average_precision(truth, predicted, num_classes=CLASSES, tiou_thresholds=TIOU)
    return float(np.mean(np.nanmean(found, axis=1)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--per-video", type=int, default=200, help="predictions a video")
    parser.add_argument("--resamples", type=int, default=1_000)
    arguments = parser.parse_args()
    first, second = (make_task(arguments.per_video, seed=seed) for seed in (1, 2))
    print(f"{VIDEOS} videos, {SEGMENTS} segments, {len(first.detections)} predictions, {arguments.resamples} resamples")

    begin = time.perf_counter()
    diagnose(first, resamples=arguments.resamples)
    print(f"diagnose: {time.perf_counter() - begin:.2f} s")
    begin = time.perf_counter()
    compare(first, second, resamples=arguments.resamples)
    print(f"compare:  {time.perf_counter() - begin:.2f} s")

    prepared = prepare(first)
    weights = draw_weights(VIDEOS, resamples=arguments.resamples, seed=0)
    begin = time.perf_counter()
    matching = match_detections(prepared.truth, prepared.predicted, num_classes=CLASSES, tiou_thresholds=TIOU)
    ours = np.mean(resampled_map(prepared.truth, prepared.predicted, matching, weights), axis=0)
    ours_s = (time.perf_counter() - begin) / arguments.resamples
    begin = time.perf_counter()
    theirs = [write_out(prepared, weights[:, column]) for column in range(1, 1 + ONE_BY_ONE)]
    theirs_s = (time.perf_counter() - begin) / ONE_BY_ONE
    print(f"a resample: {1e3 * ours_s:.2f} ms; written out and scored: {1e3 * theirs_s:.1f} ms")
    print(f"written out / ours: {theirs_s / ours_s:.0f}")
    print(f"largest difference: {np.abs(ours[1 : 1 + ONE_BY_ONE] - theirs).max():.1e}")


if __name__ == "__main__":
    main()
