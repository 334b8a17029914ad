"""Make `tests/reference/challenge_metrics.json`: what the evaluators of EPIC-KITCHENS-100 and Ego4D-MQ say.

    python tests/reference/scripts/challenge_metrics.py \
        --epic C2-Action-Detection/EvaluationCode/evaluate_detection_json_ek100.py \
        --ego4d episodic-memory/MQ/Evaluation --actionformer actionformer_release/libs/utils/metrics.py

They are read from the paths given and run as they are, but for what numpy 2 no longer knows,
imports between folders, and sorts, which are made stable: theirs leave equal scores in no
certain order. Rows are in such an order that a stable sort, turned around as theirs is, gives the
order that asl-kit documents. Nothing of theirs is kept. Needs numpy, pandas and joblib.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from activitynet_average_precision import python_3

OUT = Path(__file__).parent.parent / "challenge_metrics.json"
TIOU = [0.1, 0.2, 0.3, 0.4, 0.5]
VERBS, NOUNS = 6, 5  # ids in the annotations; predictions have one more of each
MULTIPLES = [1, 2, 3, 4, 5]
CASES: dict[str, dict[str, Any]] = {
    "random": {"seed": 1, "videos": 6, "truth": 60, "predictions": 400},
    "ties": {"seed": 2, "videos": 4, "truth": 40, "predictions": 300, "grid_s": 2.0, "score_steps": 4},
    "sparse": {"seed": 3, "videos": 12, "truth": 20, "predictions": 60},
    "tenths": {"seed": 4, "videos": 5, "truth": 60, "predictions": 300, "grid_s": 0.1, "length_s": 0.6},
}
ROUNDED = [(0.8, 3.7, 0.9, 6.4), (2.7, 5.6, 1.6, 4.7), (1.4, 5.2, 4.0, 5.4), (7.6, 12.2, 7.2, 11.1)]
"""Predictions and segments whose tIoU is 0.3, 0.5 or 0.7, or next to it, as the formula is: added to `tenths`."""


def load(name: str, path: Path) -> types.ModuleType:
    """Run a ported source file as the module `name`."""
    source = (
        python_3(path.read_text())
        .replace(".argsort()", '.argsort(kind="stable")')
        .replace("from ..utils", "from utils")
    )
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def make_case(
    *,
    seed: int,
    videos: int,
    truth: int,
    predictions: int,
    grid_s: float = 0.01,
    length_s: float = 8.0,
    score_steps: int = 10**6,
) -> dict[str, list[list[Any]]]:
    """Return truth [video, start, end, verb, noun] and predictions [..., score], times on a grid."""
    rng = np.random.default_rng(seed)

    def times(start: float, length: float) -> list[float]:
        first = max(round(start / grid_s), 0)
        return [round(first * grid_s, 2), round((first + max(round(length / grid_s), 1)) * grid_s, 2)]

    ids = [f"P{number:02d}_01" for number in range(videos)]
    rows = []
    for _ in range(truth):
        # the last video has no ground truth, so that its predictions are false positives
        labels = [int(rng.integers(VERBS - 1)), int(rng.integers(NOUNS - 1))]
        rows.append([ids[rng.integers(videos - 1)], *times(rng.uniform(0, 80), rng.exponential(length_s)), *labels])
    rows += [list(row) for row in rows[:2]]  # duplicates count, but for ActionFormer
    rows.sort(key=lambda row: row[:3])
    found = []
    for _ in range(predictions):
        score = int(rng.integers(1, score_steps)) / score_steps
        if rng.uniform() < 0.6:
            video, start, end, verb, noun = rows[rng.integers(len(rows))]
            shift = rng.normal(0, 0.2, 2) * (end - start)
            place = times(start + shift[0], end - start + shift[1])
            if rng.uniform() < 0.3:
                noun = int(rng.integers(NOUNS + 1))
        else:
            video, place = ids[rng.integers(videos)], times(rng.uniform(0, 80), rng.exponential(length_s))
            verb, noun = int(rng.integers(VERBS + 1)), int(rng.integers(NOUNS + 1))
        found.append([video, *place, verb, noun, score])
    found.sort(key=lambda row: row[:3], reverse=True)
    return {"truth": rows, "predictions": found}


def timestamp(seconds: float) -> str:
    """Return EPIC's notation of a time."""
    return f"00:{int(seconds // 60):02d}:{seconds % 60:05.2f}"


def epic_scores(code: types.ModuleType, case: dict[str, list[list[Any]]]) -> dict[str, list[float]]:
    """Return the mAP per tIoU of each task, by the challenge's own class, and its validation passed."""
    video, start_s, end_s, verb, noun = zip(*case["truth"], strict=True)
    annotations = pd.DataFrame(
        {
            "video_id": video,
            "start_timestamp": [timestamp(value) for value in start_s],
            "stop_timestamp": [timestamp(value) for value in end_s],
            "verb_class": verb,
            "noun_class": noun,
        }
    )
    results: dict[str, list[Any]] = {}
    for video, start, end, verb, noun, score in case["predictions"]:
        entry = {"verb": verb, "noun": noun, "action": f"{verb},{noun}", "score": score, "segment": [start, end]}
        results.setdefault(video, []).append(entry)
    levels = {"sls_pt": 2, "sls_tl": 3, "sls_td": 3}
    submission = {"version": "0.2", "challenge": "action_detection", **levels, "results": results}
    code.validate_submission(submission, VERBS + 1, NOUNS + 1)
    return {
        task: code.ANETdetection(annotations, submission, label=task).evaluate()[0].tolist()
        for task in ("verb", "noun", "action")
    }


def ego4d_scores(
    detection: types.ModuleType, retrieval: types.ModuleType, actionformer: types.ModuleType, case: dict[str, Any]
) -> dict[str, Any]:
    """Return mAP and recall@kx by the challenge's own classes, and ActionFormer's recall@kx; verbs are the classes."""
    clips: dict[str, Any] = {}
    database: dict[str, Any] = {}
    results: dict[str, list[Any]] = {}
    for video, start, end, verb, _ in case["truth"]:
        clip = clips.setdefault(video, {"subset": "val", "clip_id": video, "annotations": []})
        clip["annotations"].append({"label": f"class {verb}", "start_time": start, "end_time": end})
        entry = database.setdefault(video, {"subset": "validation", "annotations": []})
        entry["annotations"].append({"segment": [start, end], "label_id": verb})
    known = {row[3] for row in case["truth"]}
    for video, start, end, verb, _, score in case["predictions"]:
        entry = {"segment": [start, end], "label": f"class {verb}", "score": score}
        results.setdefault(video, []).append(entry)
    heard = [row for row in case["predictions"] if row[3] in known]  # ActionFormer takes others for a class it knows
    truth, predictions = Path("truth.json"), Path("predictions.json")
    truth.write_text(json.dumps(clips))
    predictions.write_text(json.dumps({"version": "EGO4D", "results": results, "external_data": {}}))
    tool = detection.ANETdetection(str(truth), str(predictions), subset="val", tiou_thresholds=TIOU)
    mean_average_precision = tool.evaluate()[0]
    official = retrieval.Moment_Retrieval(str(truth), str(predictions), subset="val").evaluate()  # at 0.3, 0.5, 0.7
    Path("actionformer.json").write_text(json.dumps({"database": database}))
    own = actionformer.ANETdetection(
        "actionformer.json",
        split="validation",
        tiou_thresholds=np.linspace(0.1, 0.5, 5),
        top_k=MULTIPLES,
        num_workers=1,
    )
    video, start_s, end_s, verb, _, score = zip(*heard, strict=True)
    columns = {"t-start": start_s, "t-end": end_s, "label": verb, "score": score}
    table = {"video-id": list(video), **{name: np.array(values) for name, values in columns.items()}}
    return {
        "mAP": mean_average_precision.tolist(),
        "recall_tiou": [0.3, 0.5, 0.7],
        "recall": official.tolist(),
        "actionformer_recall": own.evaluate(table, verbose=False)[2].tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epic", type=Path, required=True, help="file evaluate_detection_json_ek100.py")
    parser.add_argument("--ego4d", type=Path, required=True, help="folder MQ/Evaluation")
    parser.add_argument("--actionformer", type=Path, required=True, help="file libs/utils/metrics.py")
    arguments = parser.parse_args()
    files = {
        "utils": arguments.ego4d / "utils.py",
        "epic": arguments.epic,
        "detection": arguments.ego4d / "ego4d" / "eval_detection.py",
        "retrieval": arguments.ego4d / "ego4d" / "get_retrieval_performance.py",
        "actionformer": arguments.actionformer,
    }
    code = {name: load(name, path.resolve()) for name, path in files.items()}
    sources = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}

    cases = {}
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # one of them writes files where it runs
        for name, settings in CASES.items():
            case = make_case(**settings)
            if name == "tenths":
                for number, (start, end, truth_start, truth_end) in enumerate(ROUNDED):
                    case["truth"].append([f"Q{number:02d}_01", truth_start, truth_end, 0, 0])
                    case["predictions"].append([f"Q{number:02d}_01", start, end, 0, 0, 0.999 - number / 1000])
            for row in case["truth"]:  # as EPIC's code reads its timestamps
                row[1:3] = [code["epic"].timestamp_to_seconds(timestamp(value)) for value in row[1:3]]
            with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
                epic = epic_scores(code["epic"], case)
                ego4d = ego4d_scores(code["detection"], code["retrieval"], code["actionformer"], case)
            cases[name] = {**case, "epic": epic, "ego4d": ego4d}
        os.chdir(home)
    OUT.write_text(json.dumps({"sources_sha256": sources, "tiou": TIOU, "cases": cases}, separators=(",", ":")) + "\n")
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
