"""Show that the official evaluators take what `asl-kit submit` writes, and score it as `asl-kit eval` does.

    python tests/reference/scripts/submission_files.py \
        --epic C2-Action-Detection/EvaluationCode/evaluate_detection_json_ek100.py \
        --ego4d episodic-memory/MQ/Evaluation --activitynet ActivityNet/Evaluation/eval_detection.py

The predictions are those of `challenge_metrics.json` whose scores differ. Each evaluator reads the file by its own
reader; the two lists of Moment Queries go into files of their own, from which `Merge_detection_retrieval.py` takes
them. Prints the largest difference, and fails if it is above 1e-9. Nothing of theirs is kept. Needs numpy, pandas and
joblib.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from challenge_metrics import OUT, TIOU, load, timestamp

from asl_evaluate.options import ScoringOptions
from asl_evaluate.scoring import evaluate_predictions
from asl_evaluate.submission import TrainingFacts, submit
from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detection, Detections
from asl_kit.manifests.files import load_manifest

Rows = list[list[Any]]


def write_case(case: dict[str, Rows], dataset: str, split: str) -> tuple[Path, Path]:
    """Write annotations and predictions of a case with the class names of a published dataset."""
    vocabularies = load_manifest(dataset).vocabularies

    def labels(row: list[Any]) -> dict[str, str]:
        ids = {"verb": row[3], "noun": row[4], "action": row[3]}
        return {name: classes[ids[name]] for name, classes in vocabularies.items()}

    ids = sorted({row[0] for row in case["truth"] + case["predictions"]})
    videos: dict[str, Any] = {video: {"split": split, "duration": 1000.0, "segments": []} for video in ids}
    for row in case["truth"]:
        videos[row[0]]["segments"].append({"start": row[1], "end": row[2], "labels": labels(row)})
    source = {"converter": "none", "asl_kit": "0"}
    document = {"dataset": dataset, "source": source, "vocabularies": vocabularies, "videos": videos}
    annotations, predictions = Path(f"{dataset}.json"), Path(f"{dataset}-predictions.json")
    write_annotations(AnnotationSet.model_validate(document), annotations)
    rows = [
        Detection(row[0], row[1], row[2], ",".join(labels(row).values()), max(row[5], 1e-6))
        for row in case["predictions"]
    ]
    write_predictions(predictions, Detections.from_lists(rows))
    return annotations, predictions


def check_epic(code: Any, case: dict[str, Rows]) -> float:
    """Return how far the challenge's scores of our file are from ours."""
    annotations, predictions = write_case(case, "epic-kitchens", "validation")
    written = submit(
        benchmark="epic-kitchens",
        predictions=[predictions],
        annotations=annotations,
        output=Path("epic-submission.json"),
        training=TrainingFacts((2, 3, 3)),
    )
    submission = code.read_json(written.path)
    code.validate_submission(submission, 97, 300, supported_challenges="action_detection")
    video, start_s, end_s, verb, noun = zip(*case["truth"], strict=True)
    times = {"start_timestamp": map(timestamp, start_s), "stop_timestamp": map(timestamp, end_s)}
    table = {"video_id": video, **{name: list(values) for name, values in times.items()}}
    truth = pd.DataFrame({**table, "verb_class": verb, "noun_class": noun})
    differences = [0.0]
    for file in (predictions, written.path):
        ours = evaluate_predictions(file, annotations)
        for task, part in ours.parts.items():
            theirs = code.ANETdetection(truth, submission, label=task).evaluate()[0]
            differences.append(float(np.abs(theirs - part.mean_average_precision).max()))
    return max(differences)


def check_ego4d(detection: Any, retrieval: Any, case: dict[str, Rows]) -> float:
    """Return how far the challenge's mAP and recall@kx of our file are from ours."""
    annotations, predictions = write_case(case, "ego4d-mq", "val")
    output = Path("ego4d-submission.json")
    submit(benchmark="ego4d-mq", predictions=[predictions], annotations=annotations, output=output)
    submission = json.loads(output.read_bytes())
    names = load_manifest("ego4d-mq").vocabularies["action"]
    clips: dict[str, Any] = {}
    for video, start, end, verb, _ in case["truth"]:
        clip = clips.setdefault(video, {"subset": "val", "clip_id": video, "annotations": []})
        clip["annotations"].append({"label": names[verb], "start_time": start, "end_time": end})
    Path("clips.json").write_text(json.dumps(clips))
    for name in ("detect", "retrieve"):
        part = {"version": "EGO4D", "results": submission[f"{name}_results"], "external_data": {}}
        Path(f"{name}.json").write_text(json.dumps(part))
    mean = detection.ANETdetection("clips.json", "detect.json", subset="val", tiou_thresholds=TIOU).evaluate()[0]
    recall = retrieval.Moment_Retrieval("clips.json", "retrieve.json", subset="val").evaluate()  # at 0.3, 0.5, 0.7
    ours = evaluate_predictions(predictions, annotations)
    at_half = evaluate_predictions(predictions, annotations, ScoringOptions(tiou="0.3:0.7:0.2"))
    found = [metric.per_tiou for metric in at_half.recall.values()]
    return float(max(np.abs(mean - ours.mean_average_precision).max(), np.abs(recall.T - found).max()))


def check_activitynet(code: Any, case: dict[str, Rows]) -> float:
    """Return how far the official mAP of our file is from ours."""
    annotations, predictions = write_case(case, "activitynet13", "validation")
    output = Path("activitynet-submission.json")
    submit(benchmark="activitynet", predictions=[predictions], annotations=annotations, output=output)
    names = load_manifest("activitynet13").vocabularies["action"]
    database: dict[str, Any] = {}
    for video, start, end, verb, _ in case["truth"]:
        entry = database.setdefault(video, {"subset": "validation", "annotations": []})
        entry["annotations"].append({"segment": [start, end], "label": names[verb]})
    Path("database.json").write_text(json.dumps({"database": database, "taxonomy": [], "version": ""}))
    thresholds = np.array([0.5, 0.75, 0.95])
    tool = code.ANETdetection(
        "database.json", str(output), tiou_thresholds=thresholds, subset="validation", check_status=False
    )
    tool.evaluate()
    ours = evaluate_predictions(predictions, annotations, ScoringOptions(tiou="0.5:0.95:0.05", protocol="activitynet"))
    return float(np.abs(tool.mAP - np.array(ours.mean_average_precision)[[0, 5, 9]]).max())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epic", type=Path, required=True, help="file evaluate_detection_json_ek100.py")
    parser.add_argument("--ego4d", type=Path, required=True, help="folder MQ/Evaluation")
    parser.add_argument("--activitynet", type=Path, required=True, help="file Evaluation/eval_detection.py")
    arguments = parser.parse_args()
    folder = arguments.ego4d.resolve()
    load("utils", folder / "utils.py")
    epic = load("epic", arguments.epic.resolve())
    detection = load("detection", folder / "ego4d" / "eval_detection.py")
    retrieval = load("retrieval", folder / "ego4d" / "get_retrieval_performance.py")
    activitynet = load("activitynet", arguments.activitynet.resolve())

    differences = {}
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)  # one of them writes files where it runs
        for name, case in json.loads(OUT.read_bytes())["cases"].items():
            scores = [row[5] for row in case["predictions"]]
            if len(set(scores)) < len(scores):
                continue
            known = {row[3] for row in case["truth"]}  # ActivityNet's script stops at a class without ground truth
            heard = {**case, "predictions": [row for row in case["predictions"] if row[3] in known]}
            with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
                differences[f"{name}: epic-kitchens"] = check_epic(epic, case)
                differences[f"{name}: ego4d-mq"] = check_ego4d(detection, retrieval, case)
                differences[f"{name}: activitynet"] = check_activitynet(activitynet, heard)
        os.chdir("/")
    for name, difference in differences.items():
        print(f"{name}: largest difference {difference:.3g}")
    if not differences or max(differences.values()) > 1e-9:
        sys.exit("they differ")


if __name__ == "__main__":
    main()
