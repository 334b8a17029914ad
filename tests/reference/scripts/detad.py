"""Make `tests/reference/detad.json`: what DETAD's own code says of generated predictions.

    python tests/reference/scripts/detad.py CHECKOUT/src

The folder is a checkout of HumamAlwassel/DETAD (24f7d95). Its files are read as they are and run in
a form that numpy 2 knows (`ported`). Nothing of theirs is
kept. Needs numpy, pandas and joblib; plots are not made, so no matplotlib.

The cases are made here, from a seed, with neither equal scores nor equal overlaps, where the official
result depends on an unstable sort or on the order of the file. Each class is predicted, without which
the official code stops. A video without ground truth has one prediction at most: the official code
tells the error of a second one by the ground truth of the video before it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import re
import sys
import tempfile
import types
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import joblib
import numpy as np

OUT = Path(__file__).parent.parent / "detad.json"
FILES = (
    "utils",
    "action_detector_diagnosis",
    "false_positive_analysis",
    "sensitivity_analysis",
    "false_negative_analysis",
)
INFINITY = float("inf")
LABELS_5, LABELS_4 = ["XS", "S", "M", "L", "XL"], ["XS", "S", "M", "L"]
# As the main functions of the official scripts have them.
BINS = {
    "activitynet13": {
        "coverage": (np.linspace(0, 1.0, 6), LABELS_5),
        "length": (np.array([0, 30, 60, 120, 180, INFINITY]), LABELS_5),
        "num-instances": (np.array([-1, 1, 4, 8, INFINITY]), LABELS_4),
    },
    "thumos14": {
        "coverage": (np.array([0, 0.02, 0.04, 0.06, 0.08, 1]), LABELS_5),
        "length": (np.array([0, 3, 6, 12, 18, INFINITY]), LABELS_5),
        "num-instances": (np.array([-1, 1, 40, 80, INFINITY]), LABELS_4),
    },
}
CASES: dict[str, dict[str, Any]] = {
    "activitynet13": {
        "tiou": np.linspace(0.5, 0.95, 10).round(2).tolist(),
        "make": {
            "seed": 11,
            "videos": 40,
            "classes": 12,
            "truth": 110,
            "predictions": 900,
            "scale_s": 40.0,
            "near": 0.65,
        },
    },
    "thumos14": {
        "tiou": [0.5],
        "make": {"seed": 12, "videos": 7, "classes": 6, "truth": 150, "predictions": 1800, "scale_s": 6.0, "near": 0.1},
    },
}


def ported(source: str) -> str:
    """Return the official source in names that numpy 2 knows."""
    source = re.sub(r"\bnp\.(float|int)\b(?!_|\d)", r"\1", source)
    return source.replace("np.infty", "np.inf")


def load(folder: Path) -> dict[str, types.ModuleType]:
    """Run the official files as modules, without their plots."""
    modules = {}
    for name in FILES:
        modules[name] = sys.modules[name] = types.ModuleType(name)
        source = ported((folder / f"{name}.py").read_text())
        exec(compile(source, str(folder / f"{name}.py"), "exec"), modules[name].__dict__)
    return modules


def make_case(
    seed: int, videos: int, classes: int, truth: int, predictions: int, scale_s: float, near: float
) -> dict[str, Any]:
    """Return durations, truth [video, start, end, class] and predictions [..., score]."""
    rng = np.random.default_rng(seed)
    ids = [f"v_{number:03d}" for number in range(videos)]
    names = [f"class {number}" for number in range(classes)]
    durations = {video: float(duration) for video, duration in zip(ids, rng.uniform(60, 600, videos), strict=True)}
    # The last video, or more, have no ground truth; the others differ in how many segments they have.
    often = rng.dirichlet(np.full(videos - 1, 0.7))
    rows: list[list[Any]] = []
    while len(rows) < truth:
        video = ids[rng.choice(videos - 1, p=often)]
        length = min(rng.exponential(scale_s) + 0.5, 0.95 * durations[video])
        start = rng.uniform(0, durations[video] - length)
        label = names[len(rows)] if len(rows) < classes else names[rng.integers(classes)]
        rows.append([video, start, start + length, label])
    silent = sorted(set(ids) - {row[0] for row in rows})
    spoken = sorted({row[0] for row in rows})
    found: list[list[Any]] = []
    for number, score in enumerate(rng.permutation(np.linspace(0.01, 0.99, predictions)).tolist()):
        kind = rng.uniform()
        if number < classes or kind < near:
            video, start, end, label = rows[number if number < classes else rng.integers(truth)]
            spread = 0.05 if kind < near / 2 else 0.3
            length = end - start
            start += rng.normal(0, spread) * length
            end = max(start + 0.1, end + rng.normal(0, spread) * length)
            if number >= classes and rng.uniform() < 0.2:
                label = names[rng.integers(classes)]
            score = score if rng.uniform() < 0.3 else 1 + score  # what lies near a segment tends to score higher
        else:
            video, label = spoken[rng.integers(len(spoken))], names[rng.integers(classes)]
            if silent:
                video = silent.pop()
            start = rng.uniform(0, durations[video])
            end = start + rng.exponential(scale_s)
        found.append([video, start, end, label, score])
    return {"durations": durations, "truth": rows, "predictions": found}


def write_files(case: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write the case in the official format; the number of instances is that of all classes in the video."""
    instances = Counter(row[0] for row in case["truth"])
    database: dict[str, Any] = {video: {"subset": "validation", "annotations": []} for video in case["durations"]}
    results: dict[str, Any] = {}
    for video, start, end, label in case["truth"]:
        entry = {
            "segment": [start, end],
            "label": label,
            "length": end - start,
            "coverage": (end - start) / case["durations"][video],
            "num-instances": instances[video],
        }
        database[video]["annotations"].append(entry)
    for video, start, end, label, score in case["predictions"]:
        results.setdefault(video, []).append({"segment": [start, end], "label": label, "score": score})
    truth, found = folder / "truth.json", folder / "predictions.json"
    truth.write_text(json.dumps({"database": database, "taxonomy": [], "version": ""}))
    found.write_text(json.dumps({"results": results, "version": "", "external_data": {}}))
    return truth, found


def analyse(modules: dict[str, types.ModuleType], name: str, case: dict[str, Any], tiou: list[float]) -> dict[str, Any]:
    """Return the figures that the three official scripts plot, by their own functions and settings."""
    bins = BINS[name]
    with tempfile.TemporaryDirectory() as folder:
        truth, found = write_files(case, Path(folder))

        def tool(*, limit_factor: int | None, floor: float, normalize: bool = True) -> Any:
            made = modules["action_detector_diagnosis"].ActionDetectorDiagnosis(
                ground_truth_filename=str(truth),
                prediction_filename=str(found),
                tiou_thresholds=tiou,
                limit_factor=limit_factor,
                min_tiou_thr=0.1,
                subset="validation",
                load_extra_annotations=True,
                characteristic_names_to_bins=bins,
                normalize_ap=normalize,
                minimum_normalized_precision_threshold_for_detection=floor,
            )
            made.evaluate()
            return made

        positives = tool(limit_factor=10, floor=0.0)
        positives.diagnose()
        plain = tool(limit_factor=10, floor=0.0, normalize=False)
        plain.diagnose()
        sensitivity = tool(limit_factor=None, floor=0.0)
        negatives = tool(limit_factor=None, floor=0.05)
    parts, _, shares = modules["false_positive_analysis"].split_predictions_by_score_ranges(positives, 10)
    errors = [error for error, code in positives.fp_error_types_legned.items() if code]
    return {
        "profile": [shares[group]["avg"].to_dict() for group in range(10)],
        "profile_predictions": [len(parts[group]) for group in range(10)],
        "limited": {"average_mAP": plain.average_mAP, "average_mAP_N": positives.average_mAP},
        "gain": {error: plain.average_mAP_gain[error] for error in errors},
        "gain_N": {error: positives.average_mAP_gain[error] for error in errors},
        "average_mAP_N": sensitivity.average_mAP,
        "sensitivity": {
            column: modules["sensitivity_analysis"].compute_average_mAP_N_for_characteristic(sensitivity, column)
            for column in bins
        },
        "missed": {
            column: modules["false_negative_analysis"]
            .fn_distribution_by_characteristic(negatives, column)["avg"]["unmatched"]
            .to_dict()
            for column in bins
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path, help="folder src of a checkout of HumamAlwassel/DETAD")
    folder = parser.parse_args().source
    plots = ("matplotlib", "matplotlib.font_manager", "matplotlib.pyplot")
    cases = {}
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in plots}):
        modules = load(folder)
        for name, settings in CASES.items():
            case = make_case(**settings["make"])
            with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
                expected = analyse(modules, name, case, settings["tiou"])
            cases[name] = {"tiou": settings["tiou"], **case, "expected": expected}
    sources = {f"{name}.py": hashlib.sha256((folder / f"{name}.py").read_bytes()).hexdigest() for name in FILES}
    OUT.write_text(json.dumps({"sources_sha256": sources, "cases": cases}, separators=(",", ":")) + "\n")
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
