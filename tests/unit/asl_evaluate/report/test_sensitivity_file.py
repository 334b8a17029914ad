from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from asl_evaluate.report.sensitivity_file import read_sensitivity
from asl_kit.errors import MissingFileError, SensitivityError

CURVES = {"p_cls": [0.5, 1.0], "p_loc": [0.5, 1.0], "mu": {"start": 0.1}, "sigma": {"start": 1.0}}
VIDEO = {"first_s": 0.5, "step_s": 1.0, "q_cls": [0.5], "q_loc": [0.5]}
SOUND = {
    "format": "asl-kit/sensitivity",
    "version": 1,
    "split": "test",
    "mode": "quality",
    "u": [-0.5, 0.5],
    "classes": {"run": CURVES | {"training_segments": 3}},
    "videos": {"a": VIDEO},
}


def read(folder: Path, document: Any) -> Any:
    (folder / "s.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return read_sensitivity(folder / "s.json", vocabulary="verb", classes=["run"], videos=["a", "b"])


@pytest.mark.parametrize("absent", ["classes", "videos"])
def test_a_level_may_be_absent(absent: str, tmp_path: Path) -> None:
    assert getattr(read(tmp_path, SOUND | {absent: None}), absent) is None


def test_classes_of_the_vocabulary_alone_are_kept(tmp_path: Path) -> None:
    curves = CURVES | {"training_segments": 3}
    together = {"verb: run": curves, "noun: run": curves, "verb: jump": curves}
    assert list(read(tmp_path, SOUND | {"classes": together}).classes) == ["run"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param("{", "s.json: not a JSON file", id="not JSON"),
        pytest.param([1], "s.json: (whole): Input should be a valid dict", id="no object"),
        pytest.param(
            SOUND | {"version": 2},
            "sensitivity format version is 2, this asl-kit reads version 1",
            id="another version",
        ),
        pytest.param(SOUND | {"colour": 2}, "colour: unknown key", id="unknown key"),
        pytest.param(
            SOUND | {"videos": {"a": VIDEO | {"q_cls": [1.5]}}}, "videos.a.q_cls.0: Input should be less", id="range"
        ),
        pytest.param(
            SOUND | {"videos": {"a": VIDEO | {"q_cls": [0.1, 0.2]}}}, "q_cls has 2 values, q_loc 1", id="lengths"
        ),
        pytest.param(SOUND | {"u": [0.0]}, "class 'run': p_cls and p_loc must have 1 values, as u", id="places"),
        pytest.param(SOUND | {"videos": {"z": VIDEO}}, "none of its 1 videos (such as 'z')", id="other videos"),
        pytest.param(
            SOUND | {"classes": {"z": CURVES | {"training_segments": None}}},
            "none of its 1 classes (such as 'z')",
            id="other classes",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(document: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(SensitivityError, match=re.escape(message)):
        read(tmp_path, document)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"s\.json: no such file"):
        read_sensitivity(tmp_path / "s.json", vocabulary="verb", classes=[], videos=[])
