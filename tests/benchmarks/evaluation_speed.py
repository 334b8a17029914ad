"""Time asl-kit's evaluation of a predictions file against ActionFormer's, on one random set, in one run.

    python tests/benchmarks/evaluation_speed.py CHECKOUT/libs/utils/metrics.py
    python tests/benchmarks/evaluation_speed.py --memory 4000000

The set has the shape of EPIC-KITCHENS-100 validation verbs: 138 videos, 97 classes of which few
are common, 9,668 segments, 2,000 predictions a video. Each side reads annotations and predictions in
its own JSON formats and scores at tIoU 0.1 to 0.5, duplicates dropped; ActionFormer with its default of
8 processes. Needs pandas and joblib; takes minutes, nearly all of them ActionFormer's.

With --memory: what a process of asl-kit's takes at most for that many predictions.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from asl_evaluate.options import ScoringOptions
from asl_evaluate.scoring import evaluate_predictions
from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections
from asl_kit.metrics import Segments

VIDEOS, CLASSES, SEGMENTS = 138, 97, 9_668
TIOU = (0.1, 0.2, 0.3, 0.4, 0.5)
OPTIONS = ScoringOptions(split="val", tiou="0.1:0.5:0.1", duplicates="drop", protocol="activitynet")
PER_VIDEO = 2_000


def make_set(per_video: int, videos: int = VIDEOS, segments: int = SEGMENTS) -> tuple[Segments, Detections]:
    """Return segments, and predictions of which most lie near one."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, CLASSES + 1)
    frequency /= frequency.sum()
    duration_s = rng.uniform(60, 3000, videos)
    video = np.sort(rng.integers(0, videos, segments))
    start_s = rng.uniform(0, 1, segments) * duration_s[video]
    truth = Segments(
        video, start_s, start_s + rng.exponential(3, segments) + 0.1, rng.choice(CLASSES, segments, p=frequency)
    )

    near = np.concatenate(
        [
            rng.choice(np.arange(*np.searchsorted(video, (number, number + 1))), per_video)
            for number in np.unique(video).tolist()
        ]
    )
    count = len(near)
    found_start_s = truth.start_s[near] + rng.normal(0, 1, count)
    found_end_s = np.maximum(found_start_s + 0.05, truth.end_s[near] + rng.normal(0, 1, count))
    label = np.where(rng.uniform(size=count) < 0.5, truth.label[near], rng.choice(np.unique(truth.label), count))
    detections = Detections(
        video_ids=tuple(f"P{number:04d}" for number in range(videos)),
        video=truth.video[near],
        start_s=found_start_s,
        end_s=found_end_s,
        score=rng.permutation(count) / count,  # no two equal
        label=label,
        class_names=tuple(str(number) for number in range(CLASSES)),
    )
    return truth, detections


def write_ours(folder: Path, truth: Segments, detections: Detections) -> tuple[Path, Path]:
    """Write both in asl-kit's formats."""
    videos: dict[str, Any] = {
        name: {"split": "val", "duration": 4000.0, "segments": []} for name in detections.video_ids
    }
    columns = (truth.video, truth.start_s, truth.end_s, truth.label)
    for video, start_s, end_s, label in sorted(zip(*(column.tolist() for column in columns), strict=True)):
        entry = {"start": start_s, "end": end_s, "labels": {"verb": str(label)}}
        videos[detections.video_ids[video]]["segments"].append(entry)
    annotations = {
        "dataset": "own",
        "source": {"converter": "csv", "asl_kit": "0"},
        "vocabularies": {"verb": list(detections.class_names)},
        "videos": videos,
    }
    paths = folder / "annotations.json", folder / "detections.json"
    write_annotations(AnnotationSet.model_validate(annotations), paths[0])
    write_predictions(paths[1], detections)
    return paths


def write_theirs(folder: Path, truth: Segments, detections: Detections) -> tuple[Path, Path]:
    """Write both in ActionFormer's own formats."""
    database: dict[str, Any] = {name: {"subset": "val", "annotations": []} for name in detections.video_ids}
    columns = (truth.video, truth.start_s, truth.end_s, truth.label)
    for video, start_s, end_s, label in zip(*(column.tolist() for column in columns), strict=True):
        entry = {"segment": [start_s, end_s], "label_id": label}
        database[detections.video_ids[video]]["annotations"].append(entry)
    found = {
        name: [
            {"segment": [row.start_s, row.end_s], "label_id": int(row.label), "scores": row.score}
            for row in detections.rows(name)
        ]
        for name in detections.video_ids
    }
    paths = folder / "truth.json", folder / "found.json"
    for path, document in zip(paths, (database, found), strict=True):
        path.write_text(json.dumps({"database": document}))
    return paths


def import_theirs(folder: Path, source: Path) -> Any:
    """Import their module in a form that current numpy and joblib's worker processes can load."""
    (folder / "actionformer_metrics.py").write_text(re.sub(r"\bnp\.float\b", "float", source.read_text()))
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return importlib.import_module("actionformer_metrics")


def measure_memory(count: int) -> None:
    """Print the most memory that scoring `count` predictions takes, in a process of its own."""
    videos = max(count // PER_VIDEO, 1)
    truth, detections = make_set(PER_VIDEO, videos, 70 * videos)
    with tempfile.TemporaryDirectory() as name:
        paths = write_ours(Path(name), truth, detections)
        size = paths[1].stat().st_size
        count = len(detections)
        del truth, detections
        subprocess.run([sys.executable, __file__, "--one", *map(str, paths)], check=True)
    print(f"{count} predictions in a file of {size / 1e6:.0f} MB")


def score_once(annotations: Path, predictions: Path) -> None:
    """Score two files and print what that took."""
    begin = time.perf_counter()
    evaluate_predictions(predictions, annotations, OPTIONS)
    wall_s = time.perf_counter() - begin
    print(f"{wall_s:.2f} s, at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


def compare(actionformer: Path, per_video: int) -> None:
    """Print the times of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth, detections = make_set(per_video)
        annotations, predictions = write_ours(folder, truth, detections)
        truth_file, theirs_file = write_theirs(folder, truth, detections)
        theirs = import_theirs(folder, actionformer)

        ours_s = []
        for _ in range(3):
            begin = time.perf_counter()
            scores = evaluate_predictions(predictions, annotations, OPTIONS)
            ours_s.append(time.perf_counter() - begin)

        begin = time.perf_counter()
        tool = theirs.ANETdetection(str(truth_file), split="val", tiou_thresholds=np.array(TIOU))
        tool.evaluate(theirs.load_pred_seg_from_json(str(theirs_file)), verbose=False)
        theirs_s = time.perf_counter() - begin

    difference = np.abs(np.array(scores.mean_average_precision) - tool.ap.mean(axis=1)).max()
    print(
        f"{len(detections)} predictions, {len(truth)} segments, {VIDEOS} videos, {CLASSES} classes, "
        f"{os.cpu_count()} cores"
    )
    print(f"asl-kit: {', '.join(f'{each:.3f}' for each in ours_s)} s; ActionFormer: {theirs_s:.1f} s")
    print(f"ActionFormer / asl-kit: {theirs_s / sorted(ours_s)[1]:.0f}")
    print(f"largest difference in mAP: {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("actionformer", type=Path, nargs="?", help="file libs/utils/metrics.py")
    parser.add_argument("--per-video", type=int, default=PER_VIDEO, help="predictions a video")
    parser.add_argument("--memory", type=int, metavar="N", help="measure the memory for N predictions instead")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        score_once(*arguments.one)
    elif arguments.memory:
        measure_memory(arguments.memory)
    elif arguments.actionformer:
        compare(arguments.actionformer, arguments.per_video)
    else:
        parser.error("give ActionFormer's file, or --memory N")


if __name__ == "__main__":
    main()
