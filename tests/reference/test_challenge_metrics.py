"""EPIC-KITCHENS-100 and Ego4D-MQ against the challenges' own code: `scripts/challenge_metrics.py`.

The cases have equal scores, overlaps equal to thresholds, duplicates and classes without ground truth.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl_evaluate.options import ScoringOptions
from asl_evaluate.scores import Scores
from asl_evaluate.scoring import score
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.detections.table import JOINT, Detections

REFERENCE = json.loads(Path(__file__).with_name("challenge_metrics.json").read_bytes())
CASES = REFERENCE["cases"]


def score_case(case: dict[str, Any], *, protocol: str, tiou: list[float]) -> Scores:
    """Score a case of the reference: verbs and nouns, or verbs alone."""
    ids = sorted({row[0] for row in case["truth"] + case["predictions"]})
    vocabularies = {name: [f"{name} {number}" for number in range(8)] for name in ("verb", "noun")}
    videos: dict[str, Any] = {video: {"split": "validation", "duration": 1000.0, "segments": []} for video in ids}
    for video, start, end, verb, noun in case["truth"]:
        labels = {"verb": f"verb {verb}", "noun": f"noun {noun}"}
        videos[video]["segments"].append({"start": start, "end": end, "labels": labels})
    document = {
        "dataset": "reference",
        "source": {"converter": "none", "asl_kit": "0"},
        "vocabularies": vocabularies,
        "videos": videos,
    }
    is_epic = protocol == "epic-kitchens"
    detections = Detections.from_lists(
        (video, start, end, f"verb {verb}{JOINT}noun {noun}" if is_epic else f"verb {verb}", value)
        for video, start, end, verb, noun, value in case["predictions"]
    )
    return score(
        detections,
        AnnotationSet.model_validate(document),
        ScoringOptions("validation", tiou, protocol=protocol, vocabulary=None if is_epic else "verb"),
    )


def assert_equal(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", sorted(CASES))
def test_epic_kitchens(name: str) -> None:
    found = score_case(CASES[name], protocol="epic-kitchens", tiou=REFERENCE["tiou"])

    assert list(found.parts) == ["action", "verb", "noun"]
    for task, expected in CASES[name]["epic"].items():
        assert_equal(found.parts[task].mean_average_precision, expected)
    assert found.mean_average_precision == found.parts["action"].mean_average_precision


@pytest.mark.parametrize("name", sorted(CASES))
def test_ego4d_mean_average_precision_and_class_recall(name: str) -> None:
    found = score_case(CASES[name], protocol="ego4d-mq", tiou=REFERENCE["tiou"])
    expected = CASES[name]["ego4d"]

    assert_equal(found.mean_average_precision, expected["mAP"])
    assert list(found.metrics) == [f"class recall@{k}x" for k in (1, 2, 3, 4, 5)]
    assert_equal([figure.per_tiou for figure in found.metrics.values()], np.transpose(expected["actionformer_recall"]))


@pytest.mark.parametrize("name", sorted(CASES))
def test_ego4d_recall_of_the_challenge(name: str) -> None:
    expected = CASES[name]["ego4d"]
    found = score_case(CASES[name], protocol="ego4d-mq", tiou=expected["recall_tiou"])

    assert list(found.recall) == [f"recall@{k}x" for k in (1, 2, 3, 4, 5)]
    assert_equal([figure.per_tiou for figure in found.recall.values()], np.transpose(expected["recall"]))


def test_the_cases_tell_the_recalls_apart() -> None:
    case = CASES["ties"]["ego4d"]
    at_half = case["recall"][1]
    assert not np.allclose(at_half, np.transpose(case["actionformer_recall"])[:, 4], atol=0.02)
