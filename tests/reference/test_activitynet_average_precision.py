"""Average precision against ActivityNet's and ActionFormer's own code: `scripts/activitynet_average_precision.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, average_precision, drop_duplicates

REFERENCE = json.loads(Path(__file__).with_name("activitynet_average_precision.json").read_bytes())["cases"]


def _columns(rows: list[list[Any]], videos: list[str], classes: list[str]) -> list[np.ndarray]:
    video, start_s, end_s, label, *score = zip(*rows, strict=True)
    numbered = np.array([videos.index(name) for name in video]), np.array([classes.index(name) for name in label])
    return [numbered[0], np.array(start_s), np.array(end_s), numbered[1], *(np.array(column) for column in score)]


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_equals_the_official_code(name: str, duplicates: str) -> None:
    case = REFERENCE[name]
    rows = case["truth"] + case["predictions"]
    videos, classes = sorted({row[0] for row in rows}), sorted({row[3] for row in rows})
    truth = Segments(*_columns(case["truth"], videos, classes))
    if duplicates == "drop":
        truth = truth.take(drop_duplicates(truth))
    detections = ScoredSegments(*_columns(case["predictions"], videos, classes))

    found = average_precision(truth, detections, num_classes=len(classes), tiou_thresholds=case["tiou"])

    expected = case["average_precision"][duplicates]
    assert np.isnan(found).all(axis=0).tolist() == [name not in expected for name in classes]
    for label, values in expected.items():
        np.testing.assert_allclose(found[:, classes.index(label)], values, rtol=0, atol=1e-12, err_msg=label)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_the_cases_tell_the_two_apart(name: str) -> None:
    assert REFERENCE[name]["average_precision"]["keep"] != REFERENCE[name]["average_precision"]["drop"]
