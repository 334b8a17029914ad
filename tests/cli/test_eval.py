from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import make_annotation_set

from asl_evaluate.coverage import GridCoverage
from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections, DetectionTables

VIDEOS = {
    "v1": ("test", [(0.0, 10.0, "jump"), (20.0, 30.0, "run")]),
    "v2": ("test", [(0.0, 10.0, "jump")]),
    "v3": ("training", [(0.0, 10.0, "jump")]),
}
PREDICTIONS = Detections.from_lists(
    [("v1", 0, 10, "jump", 0.9), ("v1", 20, 26, "run", 0.8), ("v3", 0, 10, "jump", 0.7)]
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_annotations(make_annotation_set(VIDEOS, ["jump", "run"]), tmp_path / "a.json")
    write_predictions(tmp_path / "p.json", PREDICTIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(arguments: str) -> Result:
    return command_line.run("eval", *arguments.split())


@pytest.mark.usefixtures("folder")
def test_tables_go_to_stdout() -> None:
    result = run("--predictions p.json --annotations a.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "protocol activitynet, split test" in result.stdout
    assert ["0.6", "75.00", "66.67"] in [line.split() for line in result.stdout.splitlines()]
    assert "warning: 1 prediction ignored, as its video is not in the split, or not annotated\n" in result.stdout


@pytest.mark.usefixtures("folder")
def test_json_to_stdout_stands_alone() -> None:
    result = run("--predictions p.json --annotations a.json --tiou 0.6:0.7:0.1 --json -")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["split"], document["tiou"]) == ("test", [0.6, 0.7])
    assert document["mAP"] == pytest.approx([0.75, 0.25])
    assert document["average_mAP"] == pytest.approx(0.5)
    assert "protocol activitynet" in result.stderr


def test_files_are_written(folder: Path) -> None:
    result = run("--predictions p.json --annotations a.json --json new/s.json --out results")
    assert result.exit_code == 0
    assert (folder / "new/s.json").read_bytes() == (folder / "results/scores.json").read_bytes()
    assert [path.name for path in (folder / "results").iterdir()] == ["scores.json"]
    assert "protocol activitynet" in result.stdout


@pytest.mark.parametrize("option", ["--json a.json/s.json", "--out a.json"])
@pytest.mark.usefixtures("folder")
def test_results_that_cannot_be_written_are_still_shown(option: str) -> None:
    result = run(f"--predictions p.json --annotations a.json {option}")
    assert result.exit_code == 1
    assert "protocol activitynet" in result.stdout
    assert result.stderr.startswith("error: a.json")
    assert "cannot be written: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_checkpoint_is_run_and_its_detections_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, Any] = {}

    def detect_split(
        ensemble: Any, annotations: AnnotationSet, features: list[Path], **others: Any
    ) -> tuple[DetectionTables, GridCoverage]:
        called.update(ensemble=ensemble, annotations=annotations, features=features, **others)
        return DetectionTables({"action": PREDICTIONS}), GridCoverage(("v2",), (), ())

    inference = ModuleType("asl_evaluate.checkpoint_detections")
    inference.detect_split = detect_split  # type: ignore[attr-defined]
    inference.is_annotated = lambda *_: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "asl_evaluate.checkpoint_detections", inference)
    models = ModuleType("asl_kit.checkpoint.ensemble")
    models.load_ensemble = lambda *which: which  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "asl_kit.checkpoint.ensemble", models)

    result = run("--checkpoint m.pt --annotations a.json --features s1,s2 --device cpu --out results --json -")

    assert result.exit_code == 0
    assert called.pop("annotations").dataset == "own"
    assert called == {
        "ensemble": ((Path("m.pt"),), None),
        "features": [Path("s1"), Path("s2")],
        "split": "test",
        "device": "cpu",
        "video_scores": None,
        "needs_classes": True,
    }
    assert json.loads(result.stdout)["coverage"]["videos_without_features"] == ["v2"]
    assert read_predictions(folder / "results/detections.json").rows("v1") == PREDICTIONS.rows("v1")
    assert json.loads((folder / "results/scores.json").read_bytes()) == json.loads(result.stdout)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        pytest.param("--annotations a.json", 2, "give either --predictions FILE or --checkpoint FILE", id="neither"),
        pytest.param("--annotations a.json --predictions p.json --checkpoint m.pt", 2, "give either", id="both"),
        pytest.param("--predictions p.json", 2, "Missing option '--annotations'", id="no annotations"),
        pytest.param("--annotations a.json --checkpoint m.pt", 2, "--features STORE go together", id="no features"),
        pytest.param("--annotations a.json --predictions p.json --features s", 2, "go together", id="features unasked"),
        pytest.param(
            "--annotations a.json --predictions p.json --protocol voc",
            2,
            "unknown protocol 'voc', expected one of: activitynet, thumos14",
            id="protocol",
        ),
        pytest.param(
            "--annotations a.json --predictions none.json", 2, "error: none.json: no such file", id="no predictions"
        ),
        pytest.param(
            "--annotations none.json --predictions p.json", 2, "error: none.json: no such file", id="no such a.json"
        ),
        pytest.param(
            "--annotations p.json --predictions p.json", 1, "error: p.json: ", id="predictions for annotations"
        ),
        pytest.param(
            "--annotations a.json --predictions a.json", 1, "error: a.json: unknown field", id="the other way"
        ),
        pytest.param(
            "--annotations a.json --predictions p.json --split dev",
            1,
            "no video in split 'dev'; the splits are: test, training",
            id="unknown split",
        ),
        pytest.param(
            "--annotations a.json --predictions p.json --tiou 0.5", 2, "--tiou: expected LO:HI:STEP", id="tiou"
        ),
        pytest.param(
            "--annotations a.json --predictions p.json --vocabulary x", 1, "no vocabulary 'x'", id="vocabulary"
        ),
    ],
)
def test_wrong_options(arguments: str, exit_code: int, message: str) -> None:
    result = run(arguments)
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(
            '{"segment": [0, 1], "label": "run", "score": NaN}',
            "error: p.json: video 'v1', entry 0, score: expected a finite number, found nan\n",
            id="NaN score",
        ),
        pytest.param(
            '{"segment": [2, 1], "label": "run", "score": 1}',
            "error: p.json: video 'v1', entry 0, segment[1] (end): expected a time not before start_s, "
            "found 1 (start 2)\n",
            id="end before start",
        ),
        pytest.param(
            '{"segment": [0, 1], "label": "runs", "score": 1}',
            "error: p.json: video 'v1': class 'runs' is not among the 2 of vocabulary 'action': jump, run\n"
            "hint: did you mean 'run'?\n",
            id="unknown class",
        ),
    ],
)
def test_wrong_predictions(folder: Path, entry: str, message: str) -> None:
    (folder / "p.json").write_text(f'{{"results": {{"v1": [{entry}]}}}}')
    result = run("--annotations a.json --predictions p.json --out results")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)
    assert not (folder / "results").exists()
