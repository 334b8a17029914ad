"""Submission files: what is in them, what is left out, and what is refused with nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.written_commands import check_command
from pydantic import ValidationError

from asl_evaluate.submission import BENCHMARKS, TrainingFacts, parse_supervision, submit
from asl_evaluate.submission_formats import ActivityNet, EpicKitchens, MomentQueries
from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.annotations.conversion import converter_names
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detection, Detections
from asl_kit.errors import AslKitError
from asl_kit.manifests.files import load_manifest

WASH = "wash_hands"


def annotate(folder: Path, dataset: str, splits: dict[str, str]) -> Path:
    """Write annotations of a published dataset, with its classes: {video: split}, none annotated."""
    videos = {video: {"split": split, "duration": 100.0, "segments": None} for video, split in splits.items()}
    document = {
        "dataset": dataset,
        "source": {"converter": "none", "asl_kit": "0"},
        "vocabularies": load_manifest(dataset).vocabularies,
        "videos": videos,
    }
    path = folder / f"{dataset}.json"
    write_annotations(AnnotationSet.model_validate(document), path)
    return path


def predict(path: Path, *rows: tuple[str, float, float, str, float]) -> Path:
    write_predictions(path, Detections.from_lists([Detection(*row) for row in rows]))
    return path


def test_epic_kitchens(tmp_path: Path) -> None:
    rows = [("b", 0.125, 2.0, "wash,cup", 0.25), ("b", 3.0, 4.0, "take,tap", 1 / 3), ("z", 0.0, 1.0, "take,tap", 1.0)]
    found = submit(
        benchmark="epic-kitchens",
        predictions=[predict(tmp_path / "p.json", *rows)],
        annotations=annotate(tmp_path, "epic-kitchens", {"a": "test", "b": "test", "z": "train"}),
        output=tmp_path / "new" / "test.json",
        split="test",
        training=TrainingFacts((2, 3, 3)),
    )
    assert json.loads(found.path.read_bytes()) == {
        "version": "0.2",
        "challenge": "action_detection",
        "sls_pt": 2,
        "sls_tl": 3,
        "sls_td": 3,
        "results": {
            "a": [],
            "b": [
                {"verb": 0, "noun": 0, "action": "0,0", "score": 1 / 3, "segment": [3.0, 4.0]},
                {"verb": 2, "noun": 13, "action": "2,13", "score": 0.25, "segment": [0.125, 2.0]},
            ],
        },
    }
    assert found.to_text().splitlines() == [
        f"wrote {found.path} for epic-kitchens: 2 predictions in 2 videos of split 'test'",
        "1 of them without any: a",
        "1 predictions in videos of other splits left out",
    ]


def test_epic_kitchens_of_its_own_json_stays_the_same(tmp_path: Path) -> None:
    entry = {"verb": 96, "noun": 299, "action": "96,299", "score": 0.5, "segment": [1.0, 2.0]}
    levels = {"sls_pt": 1, "sls_tl": 0, "sls_td": 5}
    document = {"version": "0.2", "challenge": "action_detection", **levels, "results": {"a": [entry]}}
    (tmp_path / "epic.json").write_text(json.dumps(document))
    found = submit(
        benchmark="epic-kitchens",
        predictions=[tmp_path / "epic.json"],
        annotations=annotate(tmp_path, "epic-kitchens", {"a": "test"}),
        output=tmp_path / "test.json",
        training=TrainingFacts((1, 0, 5)),
    )
    assert json.loads(found.path.read_bytes()) == document


@pytest.mark.parametrize("has_retrieval", [False, True], ids=["one list", "two lists"])
def test_ego4d_mq(tmp_path: Path, has_retrieval: bool) -> None:
    files = [predict(tmp_path / "d.json", ("a", 0.0, 1.0, WASH, 0.5), ("a", 0.0, 2.0, WASH, 0.75))]
    if has_retrieval:
        files.append(predict(tmp_path / "r.json", ("a", 5.0, 6.0, WASH, 0.25)))
    found = submit(
        benchmark="ego4d-mq",
        predictions=files,
        annotations=annotate(tmp_path, "ego4d-mq", {"a": "test", "b": "test", "c": "val"}),
        output=tmp_path / "submission.json",
    )
    detect = [
        {"label": WASH, "score": 0.75, "segment": [0.0, 2.0]},
        {"label": WASH, "score": 0.5, "segment": [0.0, 1.0]},
    ]
    retrieve = [{"label": WASH, "score": 0.25, "segment": [5.0, 6.0]}] if has_retrieval else detect
    assert json.loads(found.path.read_bytes()) == {
        "version": "1.0",
        "challenge": "ego4d_moment_queries",
        "detect_results": {"a": detect, "b": []},
        "retrieve_results": {"a": retrieve, "b": []},
    }
    assert (found.split, found.videos_without_predictions) == ("test", ("b",))


@pytest.mark.parametrize(("external", "used"), [(None, False), ("Kinetics-400", True)], ids=["none", "some"])
def test_activitynet(tmp_path: Path, external: str | None, used: bool) -> None:
    rows = [("a", 0.0, float(end), "Archery", end / 10) for end in (1, 2, 3)]
    found = submit(
        benchmark="activitynet",
        predictions=[predict(tmp_path / "p.json", *rows)],
        annotations=annotate(tmp_path, "activitynet13", {"a": "testing"}),
        output=tmp_path / "submission.json",
        per_video=2,
        training=TrainingFacts(external_data=external),
    )
    assert json.loads(found.path.read_bytes()) == {
        "version": "VERSION 1.3",
        "results": {"a": [{"label": "Archery", "score": end / 10, "segment": [0.0, float(end)]} for end in (3, 2)]},
        "external_data": {"used": used, "details": external or ""},
    }
    assert (found.predictions, found.predictions_over_limit) == (2, 1)


GOOD: dict[str, Any] = {"benchmark": "ego4d-mq", "dataset": "ego4d-mq", "rows": [("a", 0.0, 1.0, WASH, 0.5)]}
EPIC = {"benchmark": "epic-kitchens", "dataset": "epic-kitchens", "supervision": (2, 3, 3)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"benchmark": "hacs"}, "unknown benchmark 'hacs', expected one of: epic-kitchens, ", id="benchmark"
        ),
        pytest.param({"dataset": "epic-kitchens"}, "annotations of epic-kitchens, expected ego4d-mq", id="dataset"),
        pytest.param({"rows": [("a", 0, 1, "run", 0.5)]}, "p.json: video 'a': class 'run' is not among", id="class"),
        pytest.param(
            {"rows": [("x", 0, 1, WASH, 0.5)]}, r"predicted videos \(1\) is in the annotations: 'x'", id="video"
        ),
        pytest.param({"rows": []}, "no predictions, so their split is not known", id="nothing"),
        pytest.param(
            {"rows": [("a", 0, 1, WASH, 0.5), ("c", 0, 1, WASH, 0.5)]}, "of several splits: test, val", id="splits"
        ),
        pytest.param({"split": "train"}, "no video in split 'train'", id="split"),
        pytest.param({"supervision": (2, 3, 3)}, "--sls is for epic-kitchens", id="levels"),
        pytest.param({"external_data": "all"}, "--external-data is for activitynet", id="external data"),
        pytest.param(
            {"files": 3}, "expected one file, or one for detection and one for retrieval, found 3", id="files"
        ),
        pytest.param({"files": 0}, "found 0", id="no file"),
        pytest.param(
            {"benchmark": "activitynet", "dataset": "activitynet13", "files": 2}, "expected one file, found 2", id="two"
        ),
        pytest.param({**EPIC, "supervision": None}, "requires --sls PT,TL,TD", id="no levels"),
        pytest.param({**EPIC, "rows": [("a", 0, 1, "wash,cup", 0.5)], "supervision": (2, 3, 6)}, "sls_td", id="level"),
        pytest.param(EPIC, "p.json: class 'wash_hands' is not an action", id="no action"),
        pytest.param(
            {**EPIC, "rows": [("a", 0, 1, "wash,car", 0.5)]}, "p.json: class 'car' is not a noun", id="no noun"
        ),
    ],
)
def test_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    asked = GOOD | change
    path = predict(tmp_path / "p.json", *asked["rows"])
    output = tmp_path / "out.json"
    output.write_text("as it was")
    with pytest.raises(AslKitError, match=message):
        submit(
            benchmark=asked["benchmark"],
            predictions=[path] * asked.get("files", 1),
            annotations=annotate(tmp_path, asked["dataset"], {"a": "test", "c": "val"}),
            output=output,
            split=asked.get("split"),
            training=TrainingFacts(asked.get("supervision"), asked.get("external_data")),
        )
    assert output.read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 3


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AslKitError, match=r"out\.json: cannot be written"):
        submit(
            benchmark="ego4d-mq",
            predictions=[predict(tmp_path / "p.json", *GOOD["rows"])],
            annotations=annotate(tmp_path, "ego4d-mq", {"a": "test"}),
            output=tmp_path / "file" / "out.json",
        )


@pytest.mark.parametrize("text", ["2,3", "2,3,3,3", "2,3,x", "-1,3,3", "2,3,6", "", "2,3,3.0"])
def test_levels_that_are_none(text: str) -> None:
    with pytest.raises(AslKitError, match="--sls: expected three levels from 0 to 5"):
        parse_supervision(text)


def test_levels() -> None:
    assert parse_supervision("0, 5,3") == (0, 5, 3)


ACTION = {"verb": 1, "noun": 2, "action": "1,2", "score": 0.5, "segment": [0.0, 1.0]}
MOMENT = {"label": "run", "score": 0.5, "segment": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        pytest.param(ACTION | {"verb": 97}, "verb", id="verb"),
        pytest.param(ACTION | {"noun": 300}, "noun", id="noun"),
        pytest.param(ACTION | {"action": "2,1"}, "action", id="action"),
        pytest.param(ACTION | {"score": float("nan")}, "score", id="score"),
        pytest.param(ACTION | {"segment": [1.0, 0.0]}, "segment", id="turned"),
        pytest.param(ACTION | {"segment": [1.0]}, "segment", id="half"),
        pytest.param(ACTION | {"label": "run"}, "label", id="more"),
    ],
)
def test_the_format_of_epic_kitchens(entry: dict[str, Any], field: str) -> None:
    fields = {"version": "0.2", "challenge": "action_detection", "sls_pt": 0, "sls_tl": 0, "sls_td": 0}
    EpicKitchens.model_validate(fields | {"results": {"a": [ACTION]}})
    with pytest.raises(ValidationError, match=field):
        EpicKitchens.model_validate(fields | {"results": {"a": [entry]}})


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (MomentQueries, {"version": "1.0", "challenge": "ego4d_moment_queries", "detect_results": {}}),
        (ActivityNet, {"version": "VERSION 1.3", "external_data": {"used": False, "details": ""}}),
    ],
    ids=["ego4d-mq", "activitynet"],
)
@pytest.mark.parametrize("entry", [MOMENT | {"label": ""}, MOMENT | {"label": 3}, MOMENT | {"score": "1"}])
def test_the_formats_with_labels(model: Any, fields: dict[str, Any], entry: dict[str, Any]) -> None:
    results = "retrieve_results" if model is MomentQueries else "results"
    model.model_validate(fields | {results: {"a": [MOMENT]}})
    with pytest.raises(ValidationError):
        model.model_validate(fields | {results: {"a": [entry]}})
    with pytest.raises(ValidationError):
        model.model_validate(fields)


def test_all_benchmarks_have_a_manifest() -> None:
    for benchmark in BENCHMARKS.values():
        assert [load_manifest(name).name for name in benchmark.datasets] == list(benchmark.datasets)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_the_hint_names_a_converter(tmp_path: Path, benchmark: str) -> None:
    with pytest.raises(AslKitError) as caught:
        submit(
            benchmark=benchmark,
            predictions=[tmp_path / "p.json"],
            annotations=annotate(tmp_path, "thumos14", {"a": "test"}),
            output=tmp_path / "out.json",
            training=TrainingFacts((2, 3, 3) if benchmark == "epic-kitchens" else None),
        )
    command = (caught.value.hint or "").removeprefix("make them with: ")
    assert command.split()[2] in converter_names()
    check_command(command)
