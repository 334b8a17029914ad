"""Sensitivity curves that collapse are seen in the training curve, and said."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import command, curve, words

WARNING = "of the class-level sensitivity curves have collapsed"


@pytest.mark.parametrize(
    ("narrow", "settings", "warns"),
    [
        (0.1, (), False),
        (2.0, (), True),  # every curve counts as collapsed
        (2.0, ("sensitivity.class_level=false",), False),
    ],
    ids=["wide", "narrow", "no curves"],
)
def test_collapse_is_said(
    narrow: float, settings: tuple[str, ...], warns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asl_kit.model.sensitivity.COLLAPSED_SIGMA", narrow)
    options = words("sensitivity.mode=paper", *settings)
    result = run(*command(make_task(tmp_path), tmp_path / "run", *options))
    assert result.exit_code == 0, result.output
    assert (WARNING in " ".join(result.output.split())) == warns
    lines = [line for line in curve(tmp_path / "run") if line["group"] == "sensitivity"]
    if "sensitivity.class_level=false" in settings:
        assert not lines
    else:
        assert lines[0]["mean sigma of classification"] == pytest.approx(1, abs=0.1)
        assert {line["collapsed curves"] for line in lines} == {float(warns)}
