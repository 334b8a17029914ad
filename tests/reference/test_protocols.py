"""Protocols against the code that defines them: `scripts/make_protocols.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.support import make_annotation_set

from asl_evaluate.options import ScoringOptions
from asl_evaluate.protocols import find_protocol
from asl_evaluate.scores import Scores
from asl_evaluate.scoring import score
from asl_evaluate.task import Task, prepare
from asl_evaluate.video_score_files import read_video_scores
from asl_evaluate.video_scores import fuse
from asl_kit.annotations import AnnotationSet
from asl_kit.detections.table import Detections
from asl_kit.metrics import proposal_recall

REFERENCE = json.loads(Path(__file__).with_name("protocols.json").read_bytes())
CASES = REFERENCE["cases"]
TOLERANCE = 1e-9


def _annotations(case: dict[str, Any]) -> AnnotationSet:
    videos = {
        video: {
            "split": "test",
            "duration": duration,
            "frames": case["frames"][video],
            "segments": [
                {"start": start, "end": end, "labels": {"action": label}}
                for name, start, end, label in case["truth"]
                if name == video
            ],
            "ignored": [
                {"start": start, "end": end, "reason": "Ambiguous"}
                for name, start, end in case["ignored"]
                if name == video
            ],
        }
        for video, duration in case["durations"].items()
    }
    return make_annotation_set({}, case["classes"], videos=videos)


def _score(name: str, protocol: str, **options: Any) -> Scores:
    case = CASES[name]
    rows = [(video, start, end, label, value) for video, start, end, label, value in case["predictions"]]
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]  # order does not matter
    if not find_protocol(protocol).by_frame:
        options = {"tiou": REFERENCE["tiou"]} | options
    return score(
        Detections.from_lists(shuffled), _annotations(case), ScoringOptions("test", protocol=protocol, **options)
    )


def _by_class(scores: Scores) -> np.ndarray:
    return np.array([row.average_precision for row in scores.per_class.values()])


def _close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_thumos14_tool(name: str) -> None:
    expected = np.array(CASES[name]["expected"]["thumos14"])
    found = _score(name, "thumos14")
    _close(_by_class(found), expected.T)
    _close(found.mean_average_precision, expected.mean(axis=1))


@pytest.mark.parametrize("name", CASES)
def test_charades_script(name: str) -> None:
    expected = CASES[name]["expected"]["charades"]
    found = _score(name, "charades")
    _close(_by_class(found)[:, 0], expected["ap"])
    _close(found.average_map, expected["mAP"])
    _close(found.metrics["weighted mAP"].mean, expected["weighted"])


@pytest.mark.parametrize("name", CASES)
def test_multithumos_meter(name: str) -> None:
    expected = CASES[name]["expected"]["multithumos"]
    found = _score(name, "multithumos")
    _close(_by_class(found)[:, 0], expected["ap"])
    _close(found.average_map, expected["mAP"])


@pytest.mark.parametrize("name", CASES)
def test_proposals_script(name: str) -> None:
    expected = CASES[name]["expected"]["proposals"]
    found = _score(name, "proposals", tiou=REFERENCE["proposal_tiou"])
    _close(found.metrics["area under AR@AN"].mean, expected["area"])
    _close(expected["numbers"], np.arange(1, 101))
    recall = np.array(expected["recall"])
    for number in (1, 5, 10, 50, 100):
        _close(found.recall[f"AR@{number}"].per_tiou, recall[:, number - 1])
        _close(found.recall[f"AR@{number}"].mean, recall[:, number - 1].mean())


@pytest.mark.parametrize("name", CASES)
def test_every_number_of_proposals(name: str) -> None:
    case = CASES[name]
    task = Task(
        Detections.from_lists(map(tuple, case["predictions"])),
        _annotations(case),
        split="test",
        tiou_thresholds=(0.5,),
        class_agnostic=True,
    )
    prepared = prepare(task)
    found = proposal_recall(prepared.truth, prepared.predicted, tiou_thresholds=REFERENCE["proposal_tiou"])
    _close(found, case["expected"]["proposals"]["recall"])


@pytest.mark.parametrize(("duplicates", "code"), [("keep", "activitynet"), ("drop", "actionformer")])
@pytest.mark.parametrize("name", CASES)
def test_activitynet_and_actionformer(name: str, duplicates: str, code: str) -> None:
    expected = CASES[name]["expected"][code]
    found = _score(name, "activitynet", duplicates=duplicates)
    assert set(found.per_class) == set(expected)
    for label, row in found.per_class.items():
        _close(row.average_precision, expected[label])


@pytest.mark.parametrize("top_k", [1, 2])
def test_scores_of_videos_name_the_classes_as_actionformer_does(tmp_path: Path, top_k: int) -> None:
    case = CASES["random"]
    document = {"class": case["classes"], "results": case["video_scores"]}
    (tmp_path / "scores.json").write_text(json.dumps(document))
    detections = fuse(
        Detections.from_lists(map(tuple, case["predictions"])), read_video_scores(tmp_path / "scores.json"), top_k
    )
    options = ScoringOptions(split="test", tiou=REFERENCE["tiou"], duplicates="drop")
    found = score(detections, _annotations(case), options)
    expected = case["expected"]["fused"][str(top_k)]
    for label, row in found.per_class.items():
        _close(row.average_precision, expected[label])


def test_the_cases_tell_the_protocols_apart() -> None:
    for case in CASES.values():
        expected = case["expected"]
        found = [
            np.mean(expected["thumos14"]),
            *(np.mean(list(expected[code].values())) for code in ("activitynet", "actionformer")),
        ]
        found += [expected["charades"]["mAP"], expected["multithumos"]["mAP"]]
        assert len({round(value, 6) for value in found}) == len(found)
