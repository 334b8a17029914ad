from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asl_evaluate.options import ScoringOptions
from asl_evaluate.scoring import read_tasks
from asl_kit.errors import UsageError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"duplicates": "all"}, "duplicates: expected 'keep' or 'drop', found 'all'", id="duplicates"),
        pytest.param({"protocol": "voc"}, "unknown protocol 'voc', expected one of: activitynet", id="protocol"),
        pytest.param({"tiou": "0.5"}, "--tiou: expected LO:HI:STEP, found '0.5'", id="tiou text"),
        pytest.param({"tiou": [0.5, 1.5]}, r"tiou: expected thresholds in \(0, 1\], found \[0.5, 1.5\]", id="tiou"),
        pytest.param({"tiou": []}, r"tiou: expected thresholds in \(0, 1\], found \[\]", id="no tiou"),
        pytest.param({"protocol": "charades", "tiou": (0.5,)}, "protocol charades scores moments", id="moments"),
        pytest.param({"class_agnostic": True, "video_scores": "v.json"}, "scores of videos name classes", id="classes"),
        pytest.param({"top_k": 0}, "top_k: expected 1 or more, found 0", id="top_k"),
    ],
)
def test_wrong_options_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScoringOptions(**fields)


def test_changed_options_are_listed() -> None:
    assert ScoringOptions().changed() == []
    assert ScoringOptions(vocabulary="verb", tiou=(0.5,), top_k=2).changed() == ["tiou", "vocabulary"]


def test_a_diagnosis_has_one_protocol(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="protocol thumos14 has no diagnosis or comparison, only activitynet has"):
        read_tasks([tmp_path / "p.json"], tmp_path / "a.json", ScoringOptions(protocol="thumos14"))
