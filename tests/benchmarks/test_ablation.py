"""The study can be stopped and taken up, and compares seed by seed."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

BENCHMARKS = Path(__file__).parent


def line(variant: str, seed: int, average: float) -> dict[str, Any]:
    return {"variant": variant, "seed": seed, "average_mAP": average, "mAP": [average] * 5}


def test_differences_are_taken_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    ablation = importlib.import_module("ablation")
    lines = [line("baseline", seed, value) for seed, value in enumerate((0.40, 0.50, 0.60))]
    lines += [line("contrastive", seed, value) for seed, value in ((2, 0.61), (0, 0.41), (1, 0.51), (7, 0.9))]
    lines[-1]["rank_correlation"] = {"class": [0.5, -0.25]}
    text = io.StringIO()
    Console(file=text, width=150).print(ablation.summary("set", lines))
    baseline, contrastive = (row for row in text.getvalue().splitlines() if "± " in row and "│" in row)
    assert "50.0 ± 10.0" in baseline
    assert "class +0.50, -0.25" in contrastive
    assert "+1.0 ± 0.0" in contrastive, "seed 7 has no baseline, and the order of the lines does not matter"


def test_the_truth_correlates_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    ablation = importlib.import_module("ablation")
    u = np.linspace(-0.5, 0.5, 21)
    classes = {
        name: {"p_cls": list(ablation.class_evidence(place, u)), "p_loc": list(-ablation.boundary_evidence(u))}
        for place, name in enumerate(ablation.NAMES)
    }
    time_s = 0.5 + np.arange(60)
    within = (time_s - 30) / 20  # a segment of class_1 from 20 to 40 s
    curve = {"q_cls": list(ablation.class_evidence(1, within)), "q_loc": list(ablation.boundary_evidence(within))}
    videos = {"v": {"first_s": 0.5, "step_s": 1.0, **curve}}
    segment = {"start": 20.0, "end": 40.0, "labels": {"action": "class_1"}}
    found = ablation.correlations(
        {"u": u, "classes": classes, "videos": videos}, {"videos": {"v": {"segments": [segment]}}}
    )
    assert found["class"] == pytest.approx([1, -1])
    assert found["instance"] == pytest.approx([1, 1])


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    out = tmp_path / "study.jsonl"
    command = [sys.executable, str(BENCHMARKS / "ablation.py"), "--out", str(out), "--generated", "--seeds", "1"]
    command += ["--set", "optimizer.epochs=1", "--set", "model.width=16"]
    subprocess.run([*command, "--variant", "baseline"], check=True)
    first = out.read_text("utf-8")
    with out.open("a", encoding="utf-8") as file:
        file.write('\n{"set": "generated", "varia')  # torn by a kill
    subprocess.run([*command, "--variant", "baseline", "--variant", "all, paper"], check=True)
    assert out.read_text("utf-8").startswith(first)
    lines = [json.loads(text) for text in out.read_text("utf-8").splitlines() if text != '{"set": "generated", "varia']
    assert [found["variant"] for found in lines] == ["baseline", "all, paper"]
    assert "rank_correlation" not in lines[0]
    assert {level: len(pair) for level, pair in lines[1]["rank_correlation"].items()} == {"class": 2, "instance": 2}
