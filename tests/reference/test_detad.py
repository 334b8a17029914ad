"""Diagnosis against DETAD's own code: `scripts/detad.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.support import make_annotation_set

from asl_evaluate.diagnosis import ERROR_TYPES, TRUE_POSITIVE, Diagnosis, diagnose
from asl_evaluate.task import Task
from asl_kit.annotations import AnnotationSet
from asl_kit.detections.table import Detections

REFERENCE = json.loads(Path(__file__).with_name("detad.json").read_bytes())["cases"]
OFFICIAL_NAMES = {
    TRUE_POSITIVE: "True Positive",
    "double detection": "Double Detection Err",
    "wrong label": "Wrong Label Err",
    "localization": "Localization Err",
    "confusion": "Confusion Err",
    "background": "Background Err",
}
OFFICIAL_CHARACTERISTICS = {"length": "length", "coverage": "coverage", "instances": "num-instances"}


def _annotations(name: str, case: dict[str, Any]) -> AnnotationSet:
    videos = {video: ("test", [row[1:] for row in case["truth"] if row[0] == video]) for video in case["durations"]}
    document = make_annotation_set({}, sorted({row[3] for row in case["truth"]}), dataset=name).model_dump()
    document["videos"] = {
        video: {
            "split": split,
            "duration": case["durations"][video],
            "segments": [{"start": start, "end": end, "labels": {"action": label}} for start, end, label in rows],
        }
        for video, (split, rows) in videos.items()
    }
    return AnnotationSet.model_validate(document)


@pytest.fixture(scope="module", params=sorted(REFERENCE))
def both(request: pytest.FixtureRequest) -> tuple[Diagnosis, dict[str, Any]]:
    case = REFERENCE[request.param]
    task = Task(
        detections=Detections.from_lists(tuple(row) for row in case["predictions"]),
        annotations=_annotations(request.param, case),
        split="test",
        tiou_thresholds=tuple(case["tiou"]),
    )
    return diagnose(task, resamples=100), case["expected"]


def _close(value: float) -> Any:
    return pytest.approx(value, rel=0, abs=1e-9)


def test_false_positive_profile(both: tuple[Diagnosis, dict[str, Any]]) -> None:
    found, expected = both
    assert [bar.predictions for bar in found.profile] == expected["profile_predictions"]
    for bar, shares in zip(found.profile, expected["profile"], strict=True):
        for name, share in bar.shares.items():
            assert share == _close(shares[OFFICIAL_NAMES[name]])


def test_impact_of_each_error(both: tuple[Diagnosis, dict[str, Any]]) -> None:
    found, expected = both
    assert found.average_map_in_profile == _close(expected["limited"]["average_mAP"])
    assert found.average_normalized_map_in_profile == _close(expected["limited"]["average_mAP_N"])
    assert tuple(impact.error for impact in found.impacts) == ERROR_TYPES
    for impact in found.impacts:
        assert impact.gain == _close(expected["gain"][OFFICIAL_NAMES[impact.error]])
        assert impact.normalized_gain == _close(expected["gain_N"][OFFICIAL_NAMES[impact.error]])


def test_sensitivity_and_false_negatives(both: tuple[Diagnosis, dict[str, Any]]) -> None:
    found, expected = both
    assert found.average_normalized_map == _close(expected["average_mAP_N"])
    for characteristic in found.characteristics:
        name = OFFICIAL_CHARACTERISTICS[characteristic.name]
        assert characteristic.bins_from == "DETAD"
        bins = {part.name: part for part in characteristic.bins if part.segments}
        assert set(bins) == set(expected["missed"][name])
        for bin_name, part in bins.items():
            assert part.average_normalized_map == _close(expected["sensitivity"][name][bin_name])
            assert part.missed == _close(expected["missed"][name][bin_name])


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_the_cases_have_all_kinds_of_error_and_most_bins(name: str) -> None:
    expected = REFERENCE[name]["expected"]
    assert all(gain > 1e-3 for gain in expected["gain_N"].values())
    assert all(sum(bar[error] for bar in expected["profile"]) > 0.05 for error in OFFICIAL_NAMES.values())
    assert all(len(set(bins.values())) == len(bins) >= 2 for bins in expected["sensitivity"].values())
    assert all(len(set(bins.values())) >= 2 for bins in expected["missed"].values())
