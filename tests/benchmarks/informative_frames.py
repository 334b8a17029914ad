"""Feature sets whose informative frames are known, to hold learned sensitivity against.

Every class shows which class it is only around one relative position of its segments: the first class early, the last
one late, the others between. The rest of a segment says only that there is an action, and holds flashes of the
evidence of other classes, as the background does. That an action starts or ends shows only near its ends.
The layout is the one that `ablation.py` reads: `features/<video>.npy` and `segments.csv`.
"""

from __future__ import annotations

import csv
from pathlib import Path

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
