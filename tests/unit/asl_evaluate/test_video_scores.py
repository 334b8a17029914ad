from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from asl_evaluate.video_score_files import read_video_scores
from asl_evaluate.video_scores import PER_VIDEO, fuse, fuse_tables, only_vocabulary
from asl_kit.detections.table import Detection, Detections, DetectionTables
from asl_kit.errors import PredictionError, UsageError

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
    with pytest.raises(PredictionError, match=r"scores\.json: no scores for 1 videos: elsewhere"):
        fuse(found, scores, 1)


def test_scores_below_0_cannot_be_multiplied(tmp_path: Path) -> None:
    found = Detections.from_lists([("1", 0, 5, "x", -0.25)])
    with pytest.raises(PredictionError, match="scores below 0"):
        fuse(found, read_video_scores(_write(tmp_path, LISTS)))


CLASSES = ["jump", "run", "swim"]


@pytest.mark.parametrize(
    ("document", "classes", "message"),
    [
        pytest.param(LISTS, ["run", "jump"], "1 of its 3 classes are not among the 2 of .* 'action': swim", id="more"),
        pytest.param(LISTS, ["run", "jump", "Swim"], "not among the 3 .*: swim.*did you mean 'Swim'", id="capitals"),
        pytest.param(LISTS, [*CLASSES, "dive"], "has 3 classes, and lacks 1 of the 4 .*: dive", id="fewer"),
        pytest.param(NAMED, ["run", "jump"], "1 of its 3 classes are not among the 2", id="named: more"),
    ],
)  # fmt: skip
def test_scores_of_other_classes_are_refused(tmp_path: Path, document: Any, classes: list[str], message: str) -> None:
    scores = read_video_scores(_write(tmp_path, document))
    with pytest.raises(PredictionError) as caught:
        scores.require_classes(classes, "action")
    assert re.search(f"^{tmp_path / 'scores.json'}: .*{message}", f"{caught.value.message} {caught.value.hint}")


def test_the_order_of_classes_does_not_matter(tmp_path: Path) -> None:
    read_video_scores(_write(tmp_path, LISTS)).require_classes(CLASSES, "action")
    # Classes without a score in any video need not be named.
    read_video_scores(_write(tmp_path, NAMED)).require_classes([*CLASSES, "dive"], "action")


def test_missing_videos_are_named_together(tmp_path: Path) -> None:
    scores = read_video_scores(_write(tmp_path, LISTS))
    scores.require_videos(["1", "v_1", "2", "v_2"])
    with pytest.raises(PredictionError, match=r"scores\.json: no scores for 2 videos: 3, v_4") as caught:
        scores.require_videos(["1", "3", "v_4"])
    assert caught.value.hint == "it has scores for 2 videos, such as v_1"


def test_the_table_of_a_model_is_fused(tmp_path: Path) -> None:
    scores = read_video_scores(_write(tmp_path, LISTS))
    (found,) = fuse_tables(DetectionTables({"action": FOUND}), scores, 1).by_vocabulary.values()
    assert found.rows("1") == fuse(FOUND, scores, 1).rows("1")


def test_which_vocabulary_is_named() -> None:
    assert only_vocabulary({"action": []}) == "action"
    assert only_vocabulary({"verb": [], "noun": []}, "noun") == "noun"
    with pytest.raises(UsageError, match="the model has several: verb, noun"):
        only_vocabulary({"verb": [], "noun": []})
