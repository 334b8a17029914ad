"""What a study has found, as a table, as JSON and as a page."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from asl_evaluate.seeds import compare_seeds
from asl_kit.errors import StudyError
from asl_kit.study.page import write_page
from asl_kit.study.results import StudyResult, VariantResult, find_score, print_result
from asl_kit.study.settings import Study

BASE = {0: 0.40, 1: 0.50, 2: 0.60}
BETTER = {0: 0.41, 1: 0.52, 7: 0.9}


@pytest.fixture
def result() -> StudyResult:
    kitchen = {
        "plain": VariantResult(BASE, None),
        "<new>": VariantResult(BETTER, compare_seeds(BASE, BETTER)),
        "one": VariantResult({0: 0.3}, compare_seeds(BASE, {0: 0.3})),
        "none": VariantResult({}, None),
    }
    return StudyResult("average mAP", "plain", {"kitchen": kitchen}, {"kitchen, none, seed 0": "failed: no"}, 1)


def test_the_table(result: StudyResult) -> None:
    text = io.StringIO()
    print_result(result, Console(file=text, width=150))
    rows = {line.split()[0]: " ".join(line.split()) for line in text.getvalue().splitlines() if line.strip()}
    assert rows["plain"] == "plain 3 50.00 ± 10.00"
    # Seed 7 has no baseline. scipy.stats.ttest_rel: p 0.2048, interval -0.0485 .. 0.0785
    assert rows["<new>"] == "<new> 3 61.00 ± 25.71 +1.50 -4.85 .. +7.85 0.2 +1.00 +2.00"
    assert rows["one"] == "one 1 30.00 -10.00 -10.00"
    assert rows["none"] == "none 0"
    assert "kitchen, none, seed 0: failed: no" in text.getvalue()


def test_json(result: StudyResult) -> None:
    document = result.to_json()
    assert document["sets"]["kitchen"]["plain"] == {
        "scores": {"0": 0.40, "1": 0.50, "2": 0.60}, "mean": 0.5, "standard_deviation": pytest.approx(0.1),
        "minus_baseline": None,
    }  # fmt: skip
    assert document["sets"]["kitchen"]["<new>"]["minus_baseline"]["p_value"] == pytest.approx(0.2048, abs=1e-4)
    assert document["missing"] == {"kitchen, none, seed 0": "failed: no"}


def test_the_page(result: StudyResult, tmp_path: Path) -> None:
    changes = {"plain": {}, "<new>": {"optimizer": {"epochs": 5}, "start_from": "a.ckpt"}}
    write_page(tmp_path / "study.html", Study(tmp_path / "parts.toml", "plain", "average mAP", changes, ()), result)
    page = (tmp_path / "study.html").read_text("utf-8")
    assert "<h1>Study: parts</h1>" in page
    assert "&lt;new&gt;" in page
    assert "optimizer.epochs = 5; start_from = &quot;a.ckpt&quot;" in page
    assert "+1.50" in page


def test_a_score_that_is_not_there(tmp_path: Path) -> None:
    study = Study(tmp_path / "study.toml", "plain", "mAP", {}, ())
    with pytest.raises(StudyError, match=r"study\.score: no score is named 'mAP'") as fault:
        find_score({"average mAP": 0.5, "mAP@0.5": 0.6}, study)
    assert fault.value.hint == "there are: average mAP, mAP@0.5"
