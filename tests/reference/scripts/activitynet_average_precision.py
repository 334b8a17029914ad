"""Make `tests/reference/activitynet_average_precision.json`: what ActivityNet's and ActionFormer's own code says.

    python tests/reference/scripts/activitynet_average_precision.py \
        --activitynet CHECKOUT/Evaluation --actionformer CHECKOUT/libs/utils/metrics.py

Both are read from the paths given and run as they are, but for what Python 3 and numpy 2 no
longer know. Nothing of theirs is kept. Needs numpy, pandas and joblib.
The cases are made here, from a seed, and have neither equal scores nor equal overlaps, where
the official result depends on an unstable sort.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np

OUT = Path(__file__).parent.parent / "activitynet_average_precision.json"
CASES: dict[str, dict[str, Any]] = {
    "dense": {"seed": 1, "videos": 6, "classes": 5, "truth": 90, "predictions": 600, "tiou": (0.3, 0.7, 0.1)},
    "sparse": {"seed": 2, "videos": 25, "classes": 20, "truth": 70, "predictions": 400, "tiou": (0.5, 0.95, 0.05)},
    "one_class": {"seed": 3, "videos": 3, "classes": 1, "truth": 40, "predictions": 500, "tiou": (0.1, 0.5, 0.1)},
}


def python_3(source: str) -> str:
    """Return Python 2 source in words that Python 3 and numpy 2 know."""
    source = re.sub(r"^(\s*)print (.+)$", r"\1print(\2)", source, flags=re.MULTILINE)
    source = source.replace("urllib2", "urllib.request").replace(".iteritems()", ".items()").replace("xrange", "range")
    return re.sub(r"\bnp\.float\b", "float", source)


def load(name: str, path: Path) -> types.ModuleType:
    """Run a ported source file as the module `name`."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(python_3(path.read_text()), str(path), "exec"), module.__dict__)
    return module


def make_case(seed: int, videos: int, classes: int, truth: int, predictions: int) -> dict[str, list[list[Any]]]:
    """Return truth [video, start, end, class] and predictions [..., score]: jittered truth, and noise."""
    rng = np.random.default_rng(seed)
    ids = [f"v_{number:03d}" for number in range(videos)]
    names = [f"class {number}" for number in range(classes)]
    rows = []
    for _ in range(truth):
        start = rng.uniform(0, 100)
        # the last video has no ground truth, so that its predictions are false positives
        rows.append(
            [ids[rng.integers(videos - 1)], start, start + rng.exponential(8) + 0.5, names[rng.integers(classes)]]
        )
    found = []
    for score in rng.permutation(np.linspace(0.01, 0.99, predictions)).tolist():
        if rng.uniform() < 0.6:
            video, start, end, label = rows[rng.integers(truth)]
            start += rng.normal(0, 0.15) * (end - start)
            end = max(start + 0.1, end + rng.normal(0, 0.15) * (end - start))
            if rng.uniform() < 0.1:
                label = names[rng.integers(classes)]
        else:
            video, label = ids[rng.integers(videos)], names[rng.integers(classes)]
            start = rng.uniform(0, 100)
            end = start + rng.exponential(8)
        found.append([video, start, end, label, score])
    # duplicates, near-duplicates and segments under 1 ms: the two tools treat them differently
    rows += [[video, start + 4e-4, end - 4e-4, label] for video, start, end, label in rows[:3]]
    rows.append([rows[0][0], 50.0, 50.0005, rows[0][3]])
    return {"truth": rows, "predictions": found}


def activitynet_ap(
    code: types.ModuleType, case: dict[str, list[list[Any]]], tiou: np.ndarray
) -> dict[str, list[float]]:
    """Return AP per tIoU of each class by the official script, through its own file readers."""
    database: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for video, start, end, label in case["truth"]:
        video_entry = database.setdefault(video, {"subset": "validation", "annotations": []})
        video_entry["annotations"].append({"segment": [start, end], "label": label})
    for video, start, end, label, score in case["predictions"]:
        results.setdefault(video, []).append({"segment": [start, end], "label": label, "score": score})
    with tempfile.TemporaryDirectory() as folder:
        truth, predictions = Path(folder, "truth.json"), Path(folder, "predictions.json")
        truth.write_text(json.dumps({"database": database, "taxonomy": [], "version": ""}))
        predictions.write_text(json.dumps({"results": results, "version": "", "external_data": {}}))
        tool = code.ANETdetection(
            str(truth), str(predictions), tiou_thresholds=tiou, subset="validation", check_status=False
        )
    tool.evaluate()
    return {label: tool.ap[:, number].tolist() for label, number in tool.activity_index.items()}


def actionformer_ap(
    code: types.ModuleType, case: dict[str, list[list[Any]]], tiou: np.ndarray
) -> dict[str, list[float]]:
    """Return AP per tIoU of each class by ActionFormer's evaluator, duplicates dropped by its own reader."""
    names = sorted({row[3] for row in case["truth"] + case["predictions"]})
    database: dict[str, Any] = {}
    for video, start, end, label in case["truth"]:
        video_entry = database.setdefault(video, {"subset": "test", "annotations": []})
        video_entry["annotations"].append({"segment": [start, end], "label_id": names.index(label)})
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder, "truth.json")
        truth.write_text(json.dumps({"database": database}))
        tool = code.ANETdetection(str(truth), split="test", tiou_thresholds=tiou, num_workers=1)
    video, start_s, end_s, label, score = zip(*case["predictions"], strict=True)
    tool.evaluate(
        {
            "video-id": list(video),
            "t-start": np.array(start_s),
            "t-end": np.array(end_s),
            "label": np.array([names.index(name) for name in label]),
            "score": np.array(score),
        },
        verbose=False,
    )
    return {names[label]: tool.ap[:, number].tolist() for label, number in tool.activity_index.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--activitynet", type=Path, required=True, help="folder with eval_detection.py and utils.py")
    parser.add_argument("--actionformer", type=Path, required=True, help="file libs/utils/metrics.py")
    arguments = parser.parse_args()
    files = [arguments.activitynet / "utils.py", arguments.activitynet / "eval_detection.py", arguments.actionformer]
    load("utils", files[0])
    codes = {"keep": load("eval_detection", files[1]), "drop": load("metrics", files[2])}
    tools: dict[str, Callable[..., dict[str, list[float]]]] = {"keep": activitynet_ap, "drop": actionformer_ap}

    cases = {}
    for name, settings in CASES.items():
        low, high, step = settings["tiou"]
        tiou = np.round(np.arange(low, high + step / 2, step), 2)
        case = make_case(**{key: value for key, value in settings.items() if key != "tiou"})
        # without ground truth a class stops the one tool, and is taken for another class by the other
        known = {row[3] for row in case["truth"]}
        heard = {**case, "predictions": [row for row in case["predictions"] if row[3] in known]}
        with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
            expected = {duplicates: tools[duplicates](code, heard, tiou) for duplicates, code in codes.items()}
        cases[name] = {"tiou": tiou.tolist(), **case, "average_precision": expected}
    sources = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    OUT.write_text(json.dumps({"sources_sha256": sources, "cases": cases}, separators=(",", ":")) + "\n")
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
