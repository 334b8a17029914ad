"""``asl-kit eval``: protocols, tables to files, and predictions that are not sound."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import make_annotation_set

from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections

VIDEOS = {"v1": ("test", [(0.0, 10.0, "jump"), (20.0, 30.0, "run")]), "v2": ("test", [(0.0, 10.0, "jump")])}
ROWS = [("v1", 0, 10, "jump", 0.9), ("v1", 20, 26, "run", 0.8), ("v2", 0, 10, "jump", 0.7)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_annotations(make_annotation_set(VIDEOS, ["jump", "run"]), tmp_path / "a.json")
    write_annotations(make_annotation_set(VIDEOS, ["jump", "run"], dataset="charades"), tmp_path / "charades.json")
    write_predictions(tmp_path / "p.json", Detections.from_lists(ROWS))
    write_predictions(tmp_path / "none.json", Detections.from_lists([], video_ids=["v1", "v2"]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(arguments: str, annotations: str = "a.json", predictions: str = "p.json") -> Result:
    return command_line.run(f"eval --annotations {annotations} --predictions {predictions} {arguments}")


@pytest.mark.parametrize(
    ("protocol", "shown"),
    [
        pytest.param("activitynet", ["mean", "90.00", "93.33"], id="activitynet"),
        pytest.param("thumos14", ["mean", "80.00"], id="thumos14: 0.6 is not above 0.6"),
        pytest.param("charades", ["frames", "89.58"], id="charades: of 3 moments of run 2 at once, and 1 at rank 8"),
        pytest.param("proposals", ["mean", "33.33", "76.67"], id="proposals"),
    ],
)
def test_each_protocol_prints_its_table(protocol: str, shown: list[str]) -> None:
    result = run(f"--protocol {protocol}")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"protocol {protocol}, split test" in result.stdout
    assert any(line.split()[: len(shown)] == shown for line in result.stdout.splitlines()), result.stdout


def test_the_dataset_names_the_protocol() -> None:
    assert "protocol activitynet" in run("", annotations="charades.json").stdout
    document = json.loads(run("--protocol charades --json -", annotations="charades.json").stdout)
    assert (document["protocol"], document["tiou"]) == ("charades", [])
    assert list(document["figures"]) == ["weighted mAP"]


def test_class_agnostic() -> None:
    predictions = Detections.from_lists([(*row[:3], "anything", row[4]) for row in ROWS])
    write_predictions(Path("q.json"), predictions)
    document = json.loads(run("--class-agnostic --tiou 0.5:0.5:0.1 --json -", predictions="q.json").stdout)
    assert document["mAP"] == [1.0]
    assert list(document["per_class"]) == ["any"]


def test_scores_of_videos_name_the_classes() -> None:
    predictions = Detections.from_lists([(*row[:3], "anything", row[4]) for row in ROWS])
    write_predictions(Path("q.json"), predictions)
    scores = {"class": ["jump", "run"], "results": {"v1": [0.6, 0.4], "v2": [0.9, 0.1]}}
    Path("s.json").write_text(json.dumps(scores))
    options = "--tiou 0.5:0.5:0.1 --json - --video-scores s.json"
    one = json.loads(run(f"{options} --top-k 1", predictions="q.json").stdout)
    two = json.loads(run(options, predictions="q.json").stdout)
    assert one["per_class"]["run"]["AP"] == [0.0]
    assert two["per_class"]["run"]["predictions"] == 3
    assert two["mAP"] == pytest.approx([(1 + 1 / 2) / 2])


def test_csv(folder: Path) -> None:
    assert run("--tiou 0.5:0.7:0.2 --csv new/s.csv").exit_code == 0
    with (folder / "new/s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["", "jump", "run"]
    assert rows[0] == {
        "task": "action",
        "class": "",
        "AP@0.5": "1.0",
        "AP@0.7": "0.5",
        "AP": "0.75",
        "segments": "3",
        "predictions": "3",
    }
    assert rows[2]["AP@0.7"] == "0.0"


def test_no_prediction_at_all_scores_0_and_says_so() -> None:
    for protocol in ("activitynet", "thumos14", "charades", "proposals", "ego4d-mq"):
        result = run(f"--protocol {protocol}", predictions="none.json")
        assert result.exit_code == 0
        assert "warning: 2 annotated videos without any prediction: v1, v2" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        pytest.param("--protocol charades --tiou 0.1:0.5:0.1", 2, "protocol charades scores moments", id="thresholds"),
        pytest.param("--protocol multithumos", 1, "video 'v1': neither its number of frames nor its fps", id="fps"),
        pytest.param("--class-agnostic --video-scores s.json", 2, "which a class-agnostic", id="two that exclude"),
        pytest.param("--video-scores s.json", 2, "error: s.json: no such file", id="no scores"),
        pytest.param("--top-k 0", 2, "'--top-k': 0 is not in the range x>=1", id="no class"),
        pytest.param("--csv a.json/s.csv", 1, "error: a.json/s.csv: cannot be written", id="csv"),
    ],
)
def test_wrong_options(arguments: str, exit_code: int, message: str) -> None:
    result = run(arguments)
    assert message in result.stderr
    assert result.exit_code == exit_code
    assert "Traceback" not in result.stderr


ENTRY = {"segment": [0, 10], "label": "jump", "score": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param({"v1": [ENTRY | {"score": float("nan")}]}, "entry 0, score: expected a finite", id="NaN"),
        pytest.param({"v1": [ENTRY | {"score": float("inf")}]}, "score: expected a finite number, found inf", id="inf"),
        pytest.param({"v1": [ENTRY | {"segment": [0, float("inf")]}]}, "(end): expected a finite number", id="no end"),
        pytest.param({"v1": [ENTRY | {"segment": [9, 1]}]}, "expected a time not before start_s", id="backwards"),
        pytest.param({"v1": [ENTRY | {"label": "jmp"}]}, "class 'jmp' is not among the 2", id="class"),
        pytest.param({"v1": [ENTRY | {"segment": ["0", 1]}]}, "segment: expected two numbers", id="text"),
        pytest.param({"v1": [ENTRY | {"segment": [0]}]}, "segment: expected two numbers", id="one time"),
        pytest.param({"v1": [{"segment": [0, 1], "label": "jump"}]}, "field 'score' is missing", id="no score"),
        pytest.param({"v1": [ENTRY | {"segment": [-(10**400), 1]}]}, "segment: expected two numbers", id="huge"),
        pytest.param({"v1": {}}, "video 'v1': expected a list", id="no list"),
        pytest.param('{"results": {"v1": [], "v1": []}}', "results: key 'v1' occurs twice", id="a video twice"),
        pytest.param('{"results": {}, "results": {}}', "the file: key 'results' occurs twice", id="results twice"),
        pytest.param(
            '{"results": {"v1": [{"segment": [0, 1], "label": "jump", "score": 1, "score": 2}]}}',
            "video 'v1', entry 0: key 'score' occurs twice",
            id="a score twice",
        ),
        pytest.param('{"results": {"v1": [', "not a JSON file", id="cut short"),
        pytest.param("[" * 100_000, "not a JSON file", id="very deep"),
        pytest.param("", "not a JSON file", id="empty"),
    ],
)  # fmt: skip
def test_predictions_that_are_not_sound(text: object, message: str) -> None:
    Path("bad.json").write_text(text if isinstance(text, str) else json.dumps({"results": text}))
    result = run("", predictions="bad.json")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: bad.json: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_predictions_of_unknown_videos_are_counted() -> None:
    write_predictions(Path("q.json"), Detections.from_lists([*ROWS, ("elsewhere", 0, 1, "jump", 0.9)]))
    result = run("--json -", predictions="q.json")
    assert json.loads(result.stdout)["coverage"]["predictions_outside_split"] == 1
    assert json.loads(result.stdout)["mAP"] == json.loads(run("--json -").stdout)["mAP"]
