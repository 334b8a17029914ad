"""The commands `asl-kit diagnose` and `asl-kit compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.support import make_annotation_set

from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections

VIDEOS = {
    "v1": ("test", [(0.0, 10.0, "jump"), (20.0, 30.0, "run [fast]")]),
    "v2": ("test", [(0.0, 10.0, "jump")]),
    "v3": ("training", [(0.0, 10.0, "jump")]),
}
A = [
    ("v1", 0, 10, "jump", 0.9),
    ("v1", 20, 26, "run [fast]", 0.8),
    ("v1", 0, 9, "jump", 0.7),
    ("v3", 0, 10, "jump", 0.7),
]
B = [("v1", 0, 10, "jump", 0.9), ("v2", 0, 10, "jump", 0.8)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_annotations(make_annotation_set(VIDEOS, ["jump", "run [fast]"]), tmp_path / "t.json")
    write_predictions(tmp_path / "a.json", Detections.from_lists(A))
    write_predictions(tmp_path / "b.json", Detections.from_lists(B))
    write_predictions(tmp_path / "unknown.json", Detections.from_lists([("v1", 0, 1, "jumb", 0.5)]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_diagnosis_as_tables() -> None:
    result = run("diagnose --predictions a.json --annotations t.json --tiou 0.5:0.5:0.1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "dataset own, split test, vocabulary action, duplicates keep\nvideos 2, segments 3\n" in result.stdout
    cells = _cells(result.stdout)
    # jump: found, double: AP 1/2; run: AP 1; one of three segments is missed
    assert any(row[:2] == ["mean", "75.00"] and row[-1] == "33.33" for row in cells)
    assert ["1", "3", "66.67", "33.33", "0.00", "0.00", "0.00", "0.00"] in cells
    assert ["2", "0", "-", "-", "-", "-", "-", "-"] in cells
    assert any(row[:2] == ["(all", "there)"] for row in cells)
    assert "length (seconds; bins: quantiles)" in result.stdout
    assert "warning: 2 videos are too few for reliable intervals and p-values\n" in result.stdout
    assert "warning: 1 prediction ignored, as its video is not in the split, or not annotated\n" in result.stdout


def test_comparison_as_tables() -> None:
    result = run("compare a.json b.json --annotations t.json --tiou 0.5:0.5:0.1 --resamples 200")
    assert (result.exit_code, result.stderr) == (0, "")
    cells = _cells(result.stdout)
    assert any(row[:4] == ["mean", "75.00", "50.00", "-25.00"] for row in cells)
    assert ["jump", "50.00", "100.00", "+50.00", "2"] in cells
    assert ["run", "[fast]", "100.00", "0.00", "-100.00", "1"] in cells
    assert "warning, B: 1 class with ground truth never predicted: run [fast]\n" in result.stdout


@pytest.mark.parametrize("command", ["diagnose --predictions a.json", "compare a.json b.json"])
def test_json(command: str, folder: Path) -> None:
    result = run(f"{command} --annotations t.json --seed 5 --json -")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["split"], document["tiou"]) == ("test", [0.3, 0.4, 0.5, 0.6, 0.7])
    assert "videos 2, segments 3" in result.stderr
    assert run(f"{command} --annotations t.json --seed 5 --json out.json").exit_code == 0
    assert json.loads((folder / "out.json").read_text()) == document


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            "diagnose --predictions unknown.json", "unknown.json: video 'v1': class 'jumb' is not", id="class"
        ),
        pytest.param("compare a.json unknown.json", "unknown.json: video 'v1': class 'jumb' is not", id="class-of-b"),
        pytest.param("compare a.json absent.json", "absent.json: no such file", id="no-file"),
        pytest.param("diagnose --predictions t.json", "t.json: unknown field 'format'", id="not-predictions"),
        pytest.param("compare a.json b.json --split none", "no video in split 'none'", id="split"),
        pytest.param("compare a.json b.json --tiou 0", "--tiou: expected LO:HI:STEP, found '0'", id="tiou"),
        pytest.param("compare a.json b.json --resamples 9", "--resamples: expected 100 or more, found 9", id="few"),
        pytest.param("diagnose --predictions a.json --json no/such/x", "x: cannot be written", id="unwritable"),
    ],
)
def test_wrong_input_is_one_message(arguments: str, message: str, folder: Path) -> None:
    (folder / "no").write_text("a file where a folder is wanted")
    result = run(f"{arguments} --annotations t.json")
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output
