"""`asl-kit submit`, and `asl-kit eval` of what the challenges take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import run

from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detection, Detections
from asl_kit.manifests.files import load_manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with validation annotations of EPIC-KITCHENS-100, and predictions that find one action of two."""
    segments = [
        {"start": 0.0, "end": 4.0, "labels": {"verb": "wash", "noun": "cup"}},
        {"start": 6.0, "end": 9.0, "labels": {"verb": "take", "noun": "cup"}},
    ]
    videos: dict[str, Any] = {"P01_01": {"split": "validation", "duration": 10.0, "segments": segments}}
    document = {
        "dataset": "epic-kitchens",
        "source": {"converter": "none", "asl_kit": "0"},
        "vocabularies": load_manifest("epic-kitchens").vocabularies,
        "videos": videos | {"P01_02": {"split": "test", "duration": 10.0, "segments": None}},
    }
    write_annotations(AnnotationSet.model_validate(document), tmp_path / "a.json")
    for name, labels in {
        "verbs": ("wash", "wash"),
        "nouns": ("cup", "cup"),
        "actions": ("wash,cup", "wash,cup"),
    }.items():
        rows = [Detection("P01_01", 0.0, 4.0, labels[0], 0.9), Detection("P01_01", 6.0, 9.0, labels[1], 0.8)]
        write_predictions(tmp_path / f"{name}.json", Detections.from_lists(rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


EVAL = "eval --annotations a.json --json scores.json --predictions"


def mean_average_precision(folder: Path) -> dict[str, float]:
    document = json.loads((folder / "scores.json").read_bytes())
    return {name: part["mAP"][0] for name, part in document["parts"].items()}


@pytest.mark.parametrize("files", ["actions.json", "verbs.json,nouns.json"])
def test_eval_scores_what_submit_writes_alike(folder: Path, files: str) -> None:
    assert run(f"{EVAL} {files}").exit_code == 0
    # of two verbs and two pairs one is found, of one noun both segments
    assert mean_average_precision(folder) == {"action": 0.5, "verb": 0.5, "noun": 1.0}

    result = run(f"submit --to epic-kitchens --predictions {files} --annotations a.json --sls 2,3,3 -o test.json")
    assert (result.exit_code, result.output) == (
        0,
        "wrote test.json for epic-kitchens: 2 predictions in 1 videos of split 'validation'\n",
    )
    assert run(f"{EVAL} test.json").exit_code == 0
    assert mean_average_precision(folder) == {"action": 0.5, "verb": 0.5, "noun": 1.0}


def test_eval_scores_verbs_alone(folder: Path) -> None:
    assert run(f"{EVAL} verbs.json --vocabulary verb").exit_code == 0
    assert json.loads((folder / "scores.json").read_bytes())["average_mAP"] == 0.5


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        pytest.param(
            f"{EVAL} verbs.json", 1, "verbs.json: class 'wash' is not an action: expected a verb and a noun", id="verbs"
        ),
        pytest.param(f"{EVAL} nouns.json,verbs.json", 1, "nouns.json: class 'cup' is not a verb", id="turned round"),
        pytest.param(f"{EVAL} verbs.json,", 2, "--predictions verbs.json,: an empty path between commas", id="comma"),
        pytest.param(
            f"{EVAL} verbs.json,nouns.json --protocol activitynet",
            2,
            "expected one file for protocol activitynet, found 2",
            id="two files",
        ),
        pytest.param(f"{EVAL} absent.json", 2, "absent.json: no such file", id="absent"),
        pytest.param("submit --to epic-kitchens --predictions actions.json", 2, "Missing option", id="options"),
        pytest.param(
            "submit --to epic-kitchens --predictions actions.json --annotations a.json -o o.json",
            2,
            "epic-kitchens requires --sls PT,TL,TD",
            id="no levels",
        ),
        pytest.param(
            "submit --to epic-kitchens --predictions actions.json --annotations a.json -o o.json --sls 9,9,9",
            2,
            "--sls: expected three levels from 0 to 5, found '9,9,9'",
            id="levels",
        ),
        pytest.param(
            "submit --to ego4d-mq --predictions actions.json --annotations a.json -o o.json",
            1,
            "a.json: annotations of epic-kitchens, expected ego4d-mq",
            id="another dataset",
        ),
        pytest.param(
            "submit --to epic-kitchens --predictions actions.json --annotations a.json -o o.json --per-video 0",
            2,
            "'--per-video': 0 is not in the range",
            id="none a video",
        ),
    ],
)
def test_wrong_input_is_named_and_nothing_written(folder: Path, command: str, code: int, message: str) -> None:
    result = run(command)
    assert (result.exit_code, message in result.output) == (code, True), result.output
    assert "Traceback" not in result.output
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "actions.json", "nouns.json", "verbs.json"]
