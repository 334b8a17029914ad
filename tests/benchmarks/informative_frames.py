"""Feature sets whose informative frames are known, to hold learned sensitivity against.

Every class shows which class it is only around one relative position of its segments: the first class early, the last
one late, the others between. The rest of a segment says only that there is an action, and holds flashes of the
evidence of other classes, as the background does. That an action starts or ends shows only near its ends.
The layout is the one that `study_sets.py` reads: `features/<video>.npy` and `segments.csv`.

    python tests/benchmarks/informative_frames.py --study build/parts

prints how what the variants of a study have learned on this set correlates with the truth.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = 6
DIMENSION = 32
TRAIN_VIDEOS, TEST_VIDEOS = 40, 20
STEPS = (200, 320)  # features of a video
SEGMENT_STEPS = (10, 48)
GAP_STEPS = (3, 16)
CLASS_WIDTH = 0.08  # of a segment's length
BOUNDARY_WIDTH = 0.06
STRENGTH = 3.0  # of evidence, in standard deviations of the noise
FLASHES = 0.04  # share of frames that show the evidence of a class at random
NAMES = tuple(f"class_{index}" for index in range(CLASSES))


def class_evidence(label: int, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly class `label` shows at relative positions u (-1/2: start, 1/2: end): 0 to 1."""
    center = -0.4 + 0.8 * label / (CLASSES - 1)
    return np.exp(-((u - center) ** 2) / (2 * CLASS_WIDTH**2))


def boundary_evidence(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly the nearer end of a segment shows at relative positions u: 0 to 1."""
    return np.exp(-((0.5 - np.abs(u)) ** 2) / (2 * BOUNDARY_WIDTH**2))


def make_set(folder: Path, *, seed: int = 0) -> None:
    """Write the set: one feature a second, centred on half seconds."""
    random = np.random.default_rng(seed)
    # Orthogonal directions: one a class, then "an action goes on", "it starts", "it ends".
    directions = np.linalg.qr(random.normal(size=(DIMENSION, DIMENSION)))[0][: CLASSES + 3]
    (folder / "features").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(TRAIN_VIDEOS + TEST_VIDEOS):
        video, split = f"video_{number:03d}", "train" if number < TRAIN_VIDEOS else "test"
        steps = int(random.integers(*STEPS))
        evidence = np.zeros((steps, CLASSES + 3))
        flash = np.flatnonzero(random.random(steps) < FLASHES)
        evidence[flash, random.integers(0, CLASSES, len(flash))] = 1
        end = 0.0
        while True:
            start = end + random.uniform(*GAP_STEPS)
            end = start + np.exp(random.uniform(*np.log(SEGMENT_STEPS)))
            if end > steps - 2:
                break
            label = int(random.integers(CLASSES))
            rows.append([video, f"{start:.3f}", f"{end:.3f}", NAMES[label], split, f"{steps:.3f}", "1.0"])
            inside = np.arange(int(np.ceil(start - 0.5)), int(np.floor(end - 0.5)) + 1)
            u = (inside + 0.5 - (start + end) / 2) / (end - start)
            evidence[inside, label] += class_evidence(label, u)
            evidence[inside, CLASSES] = 0.5
            evidence[inside, CLASSES + 1] += boundary_evidence(u) * (u < 0)
            evidence[inside, CLASSES + 2] += boundary_evidence(u) * (u > 0)
        features = STRENGTH * evidence @ directions + random.normal(size=(steps, DIMENSION))
        np.save(folder / "features" / f"{video}.npy", features.astype(np.float16))
    with (folder / "segments.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["video", "start", "end", "label", "split", "duration", "fps"], *rows])


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; 0 where one of the two does not vary."""
    ranks = [_ranks(values) for values in (a, b)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks


def correlations(learned: dict[str, Any], annotations: dict[str, Any]) -> dict[str, list[float]]:
    """Return the rank correlation of learned sensitivity and truth by level: classification, localization.

    Class level: the curves over the whole segment, a mean over classes. Instance level: q over the features in each
    test segment, a mean over the segments of a class, then over classes.
    """
    found = {}
    if learned["classes"]:
        u = np.array(learned["u"])
        curves = [(name, u, curve["p_cls"], curve["p_loc"]) for name, curve in learned["classes"].items()]
        found["class"] = _mean_correlation(curves)
    if learned["videos"]:
        stretches = []
        for video_id, curve in learned["videos"].items():
            time_s = curve["first_s"] + curve["step_s"] * np.arange(len(curve["q_cls"]))
            for segment in annotations["videos"][video_id]["segments"]:
                start, end = segment["start"], segment["end"]
                inside = (time_s >= start) & (time_s < end)
                q = [np.array(curve[name])[inside] for name in ("q_cls", "q_loc")]
                (name,) = segment["labels"].values()
                stretches.append((name, (time_s[inside] - (start + end) / 2) / (end - start), *q))
        found["instance"] = _mean_correlation(stretches)
    return found


def _mean_correlation(stretches: list[tuple[str, Any, Any, Any]]) -> list[float]:
    """Return the correlation with the truth of (class, relative positions, for classification, for localization)."""
    by_class: dict[str, list[list[float]]] = {}
    for name, u, for_classification, for_localization in stretches:
        pairs = ((for_classification, class_evidence(NAMES.index(name), u)), (for_localization, boundary_evidence(u)))
        by_class.setdefault(name, []).append([rank_correlation(np.asarray(a), b) for a, b in pairs])
    return [float(value) for value in np.mean([np.mean(pairs, axis=0) for pairs in by_class.values()], axis=0)]


def learned_sensitivity(checkpoint: Path, data: Path) -> dict[str, Any] | None:
    """Return what ``asl-kit eval --sensitivity`` writes; None for a model without levels."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sensitivity.json")
        inputs = ("--annotations", data / "annotations.json", "--features", data / "features.zarr")
        words = ("eval", "--checkpoint", checkpoint, *inputs, "--sensitivity", path)
        done = subprocess.run([sys.executable, "-m", "asl_kit", *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.splitlines()[0])
            return None
        learned: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return learned


def main() -> None:
    root = Path(__file__).parents[2] / "build"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="--out of the study")
    parser.add_argument("--data", type=Path, default=root / "study-sets" / "generated")
    options = parser.parse_args()
    annotations = json.loads((options.data / "annotations.json").read_text("utf-8"))
    for variant in sorted((options.study / "generated").iterdir()):
        by_level: dict[str, list[list[float]]] = {}
        for checkpoint in sorted(variant.glob("seed-*/model.ckpt")):
            learned = learned_sensitivity(checkpoint, options.data)
            for level, values in (correlations(learned, annotations) if learned else {}).items():
                by_level.setdefault(level, []).append(values)
        for level, values in by_level.items():
            means = ", ".join(f"{value:+.2f}" for value in np.mean(values, axis=0))
            print(f"{variant.name}: {level} level: {means} (classification, localization; {len(values)} seeds)")


if __name__ == "__main__":
    main()
