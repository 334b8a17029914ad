"""Time asl-kit's average precision against ActionFormer's evaluator, on one random set, in one run.

    python tests/benchmarks/average_precision_speed.py CHECKOUT/libs/utils/metrics.py

The set has the shape of EPIC-KITCHENS-100 validation verbs: 138 videos, 97 classes of which few
are common, 9,668 segments, 2,000 predictions a video. Each side reads its own JSON format and
scores at tIoU 0.1 to 0.5; ActionFormer with its default of 8 processes. Needs pandas and joblib;
takes minutes, nearly all of them ActionFormer's.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from asl_kit.metrics import ScoredSegments, Segments, average_precision, drop_duplicates
from asl_kit.predictions import Detections, read_predictions, write_predictions

VIDEOS, CLASSES, SEGMENTS = 138, 97, 9_668
TIOU = (0.1, 0.2, 0.3, 0.4, 0.5)


def make_set(per_video: int) -> tuple[Segments, Detections]:
    """Return segments, and predictions of which most lie near one."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, CLASSES + 1)
    frequency /= frequency.sum()
    duration_s = rng.uniform(60, 3000, VIDEOS)
    video = np.sort(rng.integers(0, VIDEOS, SEGMENTS))
    start_s = rng.uniform(0, 1, SEGMENTS) * duration_s[video]
    truth = Segments(
        video, start_s, start_s + rng.exponential(3, SEGMENTS) + 0.1, rng.choice(CLASSES, SEGMENTS, p=frequency)
    )

    near = np.concatenate([rng.choice(np.flatnonzero(video == number), per_video) for number in range(VIDEOS)])
    count = len(near)
    found_start_s = truth.start_s[near] + rng.normal(0, 1, count)
    found_end_s = np.maximum(found_start_s + 0.05, truth.end_s[near] + rng.normal(0, 1, count))
    label = np.where(rng.uniform(size=count) < 0.5, truth.label[near], rng.choice(np.unique(truth.label), count))
    detections = Detections(
        video_ids=tuple(f"P{number:03d}" for number in range(VIDEOS)),
        video=truth.video[near],
        start_s=found_start_s,
        end_s=found_end_s,
        score=rng.permutation(count) / count,  # no two equal
        label=label,
        class_names=tuple(str(number) for number in range(CLASSES)),
    )
    return truth, detections


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("actionformer", type=Path, help="file libs/utils/metrics.py")
    parser.add_argument("--per-video", type=int, default=2_000, help="predictions a video")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth, detections = make_set(arguments.per_video)
        ours_file = folder / "ours.json"
        write_predictions(ours_file, detections)
        truth_file, theirs_file = write_theirs(folder, truth, detections)
        theirs = import_theirs(folder, arguments.actionformer)

        begin = time.perf_counter()
        read = read_predictions(ours_file)
        loaded = time.perf_counter()
        label = np.array([int(name) for name in read.class_names])[read.label]
        found = ScoredSegments(read.video, read.start_s, read.end_s, label, read.score)
        kept = truth.take(drop_duplicates(truth))
        our_ap = average_precision(kept, found, num_classes=CLASSES, tiou_thresholds=TIOU)
        ours_s = loaded - begin, time.perf_counter() - loaded

        tool = theirs.ANETdetection(str(truth_file), split="val", tiou_thresholds=np.array(TIOU))
        begin = time.perf_counter()
        frame = theirs.load_pred_seg_from_json(str(theirs_file))
        loaded = time.perf_counter()
        tool.evaluate(frame, verbose=False)
        theirs_s = loaded - begin, time.perf_counter() - loaded

    difference = np.abs(np.nanmean(our_ap, axis=1) - tool.ap.mean(axis=1)).max()
    print(
        f"{len(detections)} predictions, {len(truth)} segments, {VIDEOS} videos, {CLASSES} classes, "
        f"{os.cpu_count()} cores"
    )
    for tool_name, (load_s, score_s) in (("asl-kit", ours_s), ("ActionFormer", theirs_s)):
        print(f"{tool_name:>12}: load {load_s:8.3f} s, score {score_s:8.3f} s, both {load_s + score_s:8.3f} s")
    print(
        f"ActionFormer / asl-kit: score {theirs_s[1] / ours_s[1]:.0f}, load and score {sum(theirs_s) / sum(ours_s):.0f}"
    )
    print(f"largest difference in mAP: {difference:.1e}")


if __name__ == "__main__":
    main()
