from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detection, Detections, DetectionTables
from asl_kit.errors import MissingFileError, PredictionError

ROWS = [
    Detection("b", 1.0, 2.0, "run", 0.25),
    Detection("a", 0.1 + 0.2, 1 / 3, "jump", 0.9),
    Detection("b", 0.5, 2.5, "jump", 0.75),
    Detection("b", 0.25, 2.5, "jump", 0.75),
]


def _entry(**changes: Any) -> dict[str, Any]:
    return {"segment": [1.0, 2.0], "label": "run", "score": 0.5} | changes


def _file(folder: Path, text: str) -> Path:
    path = folder / "p.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_are_kept_video_by_video() -> None:
    detections = Detections.from_lists(ROWS, video_ids=["b", "none", "a"])
    assert detections.video_ids == ("b", "none", "a")
    assert detections.class_names == ("jump", "run")
    assert detections.video.tolist() == [0, 0, 0, 2]
    assert detections.score.tolist() == [0.25, 0.75, 0.75, 0.9]
    assert detections.label.tolist() == [1, 0, 0, 0]
    assert len(detections.for_video("none")) == 0
    assert detections.for_video("a").start_s.tolist() == [0.1 + 0.2]
    assert detections.rows("b") == [ROWS[3], ROWS[2], ROWS[0]]


def test_columns_cannot_be_written_and_the_callers_stay_writable() -> None:
    score = np.array([0.5])
    detections = Detections(("v",), np.array([0]), np.array([0.0]), np.array([1.0]), score, np.array([0]), ("run",))
    with pytest.raises(ValueError, match="read-only"):
        detections.score[0] = 1.0
    score[0] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"score": [0.5, np.nan]}, "video 'b', entry 0, score: expected a finite number, found nan", id="NaN"
        ),
        pytest.param(
            {"score": [-np.inf, 0]}, "video 'a', entry 0, score: expected a finite number, found -inf", id="-inf"
        ),
        pytest.param(
            {"start_s": [np.nan, 0]}, r"video 'a', entry 0, segment\[0\] \(start\): .* found nan", id="NaN start"
        ),
        pytest.param(
            {"end_s": [1, np.inf]}, r"video 'b', entry 0, segment\[1\] \(end\): .* found inf", id="infinite end"
        ),
        pytest.param(
            {"end_s": [0.5, -1]},
            r"video 'b', entry 0, segment\[1\] \(end\): expected a time not before start_s, found -1 \(start 0\)",
            id="end before start",
        ),
        pytest.param({"video": [0, 2]}, r"video has values in \[0, 2\], expected \[0, 2\)", id="no such video"),
        pytest.param({"label": [-1, 0]}, r"label has values in \[-1, 0\], expected \[0, 1\)", id="no such class"),
        pytest.param(
            {"label": [0.0, 0.0]}, "label has dtype float64, expected whole numbers", id="label no whole number"
        ),
        pytest.param({"label": [0]}, r"label has shape \(1,\), expected \(2,\)", id="column too short"),
        pytest.param({"score": [[0.5, 0.5]]}, r"score has shape \(1, 2\)", id="column of two dimensions"),
        pytest.param({"video_ids": ("a", "a")}, "video_ids: 'a' occurs twice", id="video id twice"),
        pytest.param({"class_names": ("run", "x", "run")}, "class_names: 'run' occurs twice", id="class twice"),
    ],
)
def test_unsound_columns_are_refused(changes: dict[str, Any], message: str) -> None:
    sound = {
        "video_ids": ("a", "b"),
        "video": [0, 1],
        "start_s": [0.0, 0.0],
        "end_s": [1.0, 1.0],
        "score": [0.5, 0.5],
        "label": [0, 0],
        "class_names": ("run",),
    }
    with pytest.raises(PredictionError, match=message):
        Detections(**(sound | changes))


def test_names_that_are_not_given() -> None:
    with pytest.raises(PredictionError, match="class 'run' is not among the 1 given"):
        Detections.from_lists(ROWS, class_names=["jump"])
    with pytest.raises(PredictionError, match="video 'c' is not among the 2 predicted videos"):
        Detections.from_lists(ROWS).for_video("c")


def test_written_bytes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "p.json"
    write_predictions(path, Detections.from_lists(ROWS, video_ids=["b", "none", "a"]))
    assert path.read_text(encoding="utf-8") == (
        '{"results": {\n'
        '"a": [{"segment": [0.30000000000000004, 0.3333333333333333], "label": "jump", "score": 0.9}],\n'
        '"b": [{"segment": [0.25, 2.5], "label": "jump", "score": 0.75}, '
        '{"segment": [0.5, 2.5], "label": "jump", "score": 0.75}, '
        '{"segment": [1.0, 2.0], "label": "run", "score": 0.25}],\n'
        '"none": []\n'
        "}}\n"
    )
    assert list(path.parent.iterdir()) == [path]


def test_other_tools_files_are_read(tmp_path: Path) -> None:
    entries = [{"score": 1, "label": "run", "segment": [0, 3]}, _entry(score=-2.5)]
    document = {
        "version": "VERSION 1.3",
        "results": {"z": entries, "a": []},
        "external_data": {"used": True, "details": ""},
    }
    detections = read_predictions(_file(tmp_path, json.dumps(document)))
    assert detections.video_ids == ("z", "a")
    assert detections.rows("z") == [Detection("z", 0.0, 3.0, "run", 1.0), Detection("z", 1.0, 2.0, "run", -2.5)]


def test_no_predictions_at_all(tmp_path: Path) -> None:
    detections = read_predictions(_file(tmp_path, '{"results": {}}'))
    assert (len(detections), detections.video_ids, detections.class_names) == (0, (), ())


def _results(*entries: object) -> str:
    return json.dumps({"results": {"ok": [_entry()], "v1": [_entry(), *entries]}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "not a JSON file: ", id="not JSON"),
        pytest.param("", "not a JSON file: ", id="empty file"),
        pytest.param(r'{"results": {"\ud800": []}}', "not a JSON file: .*surrogates", id="half a character"),
        pytest.param("[" * 100_000, "not a JSON file: ", id="too deep"),
        pytest.param('{"results": {"v1": [' + "9" * 5000 + "]}}", "not a JSON file: ", id="number without end"),
        pytest.param("[]", r"expected an object, found \[\]", id="a list"),
        pytest.param(json.dumps(_entry()), "expected an object, found a detection", id="one detection"),
        pytest.param(
            '[{"video": "v1", "start": 1}]', r'found \[{"video": "v1", "start": 1}\]', id="a list of other objects"
        ),
        pytest.param('{"version": ""}', "field 'results' is missing", id="no results"),
        pytest.param(
            '{"results": {}, "database": {}}', "unknown field 'database', expected results, version", id="unknown"
        ),
        pytest.param('{"results": {}, "results": {}}', "the file: key 'results' occurs twice", id="results twice"),
        pytest.param('{"results": []}', r"results: expected an object, found \[\]", id="results a list"),
        pytest.param('{"results": {"v1": [], "v1": []}}', "results: key 'v1' occurs twice", id="video twice"),
        pytest.param(
            '{"results": {"v1": {"a": 1}}}', "video 'v1': expected a list, found an object", id="video an object"
        ),
        pytest.param('{"results": {"v1": null}}', "video 'v1': expected a list, found null", id="video null"),
        pytest.param(
            json.dumps({"results": {}, "external_data": [_entry()]}),
            "detections outside 'results'",
            id="detections elsewhere",
        ),
        pytest.param(_results(None), "video 'v1', entry 1: expected an object, found null", id="entry null"),
        pytest.param(_results([1, 2]), r"video 'v1', entry 1: expected an object, found \[1, 2\]", id="entry a list"),
        pytest.param(_results({}), "video 'v1', entry 1: field 'segment' is missing", id="entry empty"),
        pytest.param(
            _results(_entry(id=3)), "entry 1: unknown field 'id', expected segment, label, score", id="extra field"
        ),
        pytest.param(
            '{"results": {"v1": [{"segment": [1, 2], "score": 1, "score": 2, "label": "run"}]}}',
            "video 'v1', entry 0: key 'score' occurs twice",
            id="score twice",
        ),
        pytest.param(
            '{"results": {"v1": [{"segment": [1, 2], "score": 1, "score": 2}]}}',
            "video 'v1', entry 0: key 'score' occurs twice",
            id="score twice, label missing",
        ),
        pytest.param(
            _results(_entry(segment=[1])), r"entry 1, segment: expected two numbers .*found \[1\]", id="one time"
        ),
        pytest.param(
            _results(_entry(segment="12")), 'entry 1, segment: expected two numbers .*found "12"', id="text segment"
        ),
        pytest.param(_results(_entry(segment=[1, None])), r"entry 1, segment: .*found \[1, null\]", id="time null"),
        pytest.param(_results(_entry(label=7)), "entry 1, label: expected a class name, found 7", id="label a number"),
        pytest.param(_results(_entry(label="")), 'entry 1, label: expected a class name, found ""', id="label empty"),
        pytest.param(
            _results(_entry(score="0.5")), 'entry 1, score: expected a number, found "0.5"', id="score a text"
        ),
        pytest.param(
            _results(_entry(score="\udc00")), r'entry 1, score: .* found "\\udc00"', id="score half a character"
        ),
        pytest.param(
            _results(_entry(score=True)), "entry 1, score: expected a number, found true", id="score a truth value"
        ),
        pytest.param(
            _results(_entry(score=10**400)), "entry 1, score: expected a number, found 1000", id="score too large"
        ),
        pytest.param(
            _results(_entry(segment=[0, 10**400])), "entry 1, segment: expected two numbers", id="time too large"
        ),
        pytest.param(
            _results(_entry(score=np.nan)), "entry 1, score: expected a finite number, found nan", id="score NaN"
        ),
        pytest.param(
            _results(_entry(segment=[0, np.inf])), r"entry 1, segment\[1\] \(end\): .* found inf", id="end infinite"
        ),
        pytest.param(
            _results(_entry(segment=[2, 1]), _entry(segment=[3, 1])),
            r"video 'v1', entry 1, .*found 1 \(start 2\); 2 entries have this fault",
            id="ends before starts",
        ),
    ],
)
def test_unsound_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(PredictionError, match=message) as caught:
        read_predictions(path)
    assert caught.value.message.startswith(f"{path}: ")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(PredictionError, match=r"not a JSON file: .*utf-8"):
        read_predictions(path)


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        read_predictions(tmp_path / name)


def test_a_vocabulary_named_like_a_path_leads_nowhere(tmp_path: Path) -> None:
    nothing = Detections.from_lists((), video_ids=(), class_names=())
    files = DetectionTables({"../../verb": nothing, "a\0b": nothing}).files(tmp_path / "out.json")
    assert list(files) == [tmp_path / "out-..-..-verb.json", tmp_path / "out-a-b.json"]
