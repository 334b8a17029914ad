from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asl_evaluate.video_scores import PER_VIDEO, fuse, read_video_scores
from asl_kit.detections.table import Detection, Detections
from asl_kit.errors import MissingFileError, PredictionError

LISTS = {"class": ["run", "jump", "swim"], "results": {"v_1": [0.1, 0.4, 0.9], "2": [0.5, 0.5, 0.0]}}
NAMED = {"results": {"v_1": {"run": 0.1, "jump": 0.4, "swim": 0.9}, "2": {"run": 0.5, "jump": 0.5}}}
FOUND = Detections.from_lists([("1", 0, 5, "proposal", 0.25), ("v_2", 1, 2, "proposal", 0.5)])


def _write(folder: Path, document: Any) -> Path:
    path = folder / "scores.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(LISTS, id="lists"),
        pytest.param(NAMED, id="named"),
        pytest.param({"classes": LISTS["class"], "results": LISTS["results"]}, id="classes"),
    ],
)
def test_every_detection_gets_the_best_classes_of_its_video(tmp_path: Path, document: Any) -> None:
    fused = fuse(FOUND, read_video_scores(_write(tmp_path, document)), top_k=2)
    assert fused.rows("1") == [
        Detection("1", 0, 5, "swim", pytest.approx((0.9 * 0.25) ** 0.5)),
        Detection("1", 0, 5, "jump", pytest.approx((0.4 * 0.25) ** 0.5)),
    ]
    assert [row.label for row in fused.rows("v_2")] == ["jump", "run"]  # equal: both, in order of their names
    assert {row.label for row in fuse(FOUND, read_video_scores(_write(tmp_path, document)), 1).rows("v_2")} == {"run"}


def test_more_classes_than_there_are(tmp_path: Path) -> None:
    assert len(fuse(FOUND, read_video_scores(_write(tmp_path, LISTS)), top_k=10)) == 6


def test_only_the_best_detections_of_a_video_are_used(tmp_path: Path) -> None:
    many = Detections.from_lists([("1", 0, 1 + n, "x", n / 1000) for n in range(PER_VIDEO + 50)])
    fused = fuse(many, read_video_scores(_write(tmp_path, LISTS)), top_k=1)
    assert len(fused) == PER_VIDEO
    assert fused.end_s.min() == 51


def test_videos_that_are_not_scored_need_no_scores(tmp_path: Path) -> None:
    found = Detections.from_lists([("1", 0, 5, "x", 0.25), ("elsewhere", 0, 5, "x", 0.25)])
    scores = read_video_scores(_write(tmp_path, LISTS))
    assert len(fuse(found, scores, 1, videos={"1"})) == 1
    with pytest.raises(PredictionError, match="no scores for 1 videos with detections: elsewhere"):
        fuse(found, scores, 1)


def test_scores_below_0_cannot_be_multiplied(tmp_path: Path) -> None:
    found = Detections.from_lists([("1", 0, 5, "x", -0.25)])
    with pytest.raises(PredictionError, match="scores below 0"):
        fuse(found, read_video_scores(_write(tmp_path, LISTS)))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param([], "field 'results' must be an object with videos", id="a list"),
        pytest.param({"class": ["a"], "results": {}}, "field 'results' must be an object", id="no videos"),
        pytest.param(
            {"results": {"v": [0.5]}}, "field 'class' with the names of the classes is missing", id="no names"
        ),
        pytest.param({"class": "ab", "results": {"v": [1, 2]}}, "class: expected a list of names", id="names"),
        pytest.param({"class": ["a", "a"], "results": {"v": [1, 2]}}, "class: 'a' occurs twice", id="a name twice"),
        pytest.param({"class": ["a"], "results": {"v": [1, 2]}}, "video 'v': expected 1 scores.*found 2", id="length"),
        pytest.param({"class": ["a"], "results": {"v": 3}}, "video 'v': expected 1 scores.*found int", id="no list"),
        pytest.param({"class": ["a"], "results": {"v": [-1]}}, "video 'v', class 'a': expected a number", id="below 0"),
        pytest.param({"class": ["a"], "results": {"v": [10**400]}}, "class 'a': expected a number", id="too large"),
        pytest.param({"class": ["a"], "results": {"v": [True]}}, "class 'a': expected a number", id="true"),
        pytest.param({"class": ["a"], "results": {"v": [float("nan")]}}, "expected a number|not a JSON", id="NaN"),
        pytest.param({"class": ["a"], "results": {"v": {"b": 1}}}, "class 'b' is not among the 1", id="unknown class"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, document: Any, message: str) -> None:
    path = _write(tmp_path, document)
    with pytest.raises(PredictionError, match=message) as caught:
        read_video_scores(path)
    assert str(path) in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        read_video_scores(tmp_path / "none.json")
