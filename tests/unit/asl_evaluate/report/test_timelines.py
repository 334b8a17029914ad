from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.support import make_annotation_set

from asl_evaluate.report.sensitivity_file import Sensitivity
from asl_evaluate.report.timelines import MAX_POINTS, Timelines, add_timelines, timeline_data
from asl_evaluate.task import Task, prepare
from asl_kit.base.html_page import HtmlPage
from asl_kit.detections.table import Detections

CLASSES = ["jump", "run"]


def timelines(predictions: list[Any], *, last_class: str = "run") -> Timelines:
    videos = {"b": ("test", [(20.0, 30.0, last_class), (0.0, 10.00049, "jump")]), "a": ("test", [])}
    detections = Detections.from_lists(predictions, video_ids=["a", "b"])
    annotations = make_annotation_set(videos, ["jump", last_class])
    prepared = prepare(Task(detections, annotations, split="test", tiou_thresholds=(0.5,)))
    durations_s = {video_id: video.duration for video_id, video in prepared.videos.items()}
    return Timelines(prepared.classes, durations_s, prepared.truth, prepared.predicted)


def data_of(predictions: list[Any], **changes: Any) -> dict[str, Any]:
    fields = {"tiou_thresholds": (0.3, 0.5), "default_tiou": 0.5, "addresses": {}, "sensitivity": None}
    return timeline_data(timelines(predictions), **({"predictions_per_video": 10} | fields | changes))


def test_rows_are_sorted_and_rounded() -> None:
    data = data_of([("b", 1.23456, 9, "jump", 0.123456), ("b", 0, 9, "run", 0.9)])
    assert [video["id"] for video in data["videos"]] == ["a", "b"]
    assert data["videos"][0] == {"id": "a", "duration": 100.0, "truth": [], "predictions": []}
    assert data["videos"][1]["truth"] == [[0.0, 10.0, 0], [20.0, 30.0, 1]]
    assert data["videos"][1]["predictions"] == [[0.0, 9.0, 1, 0.9], [1.235, 9.0, 0, 0.1235]]
    assert (data["lowest"], data["highest"], data["default_score"]) == (0.0, 0.9, 0.1235)


def test_predictions_of_low_score_are_left_out_and_counted() -> None:
    data = data_of([("b", 0, 9, "run", score) for score in (0.1, 0.3, 0.2)], predictions_per_video=2)
    assert [row[3] for row in data["videos"][1]["predictions"]] == [0.3, 0.2]
    assert data["videos"][1]["left_out"] == 1
    assert "left_out" not in data["videos"][0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([], (0.0, 1.0)), ([-3.0, -1.0], (-3.0, -1.0)), ([2.0, 2.0], (0.0, 2.0))],
    ids=["none", "negative", "equal"],
)
def test_the_scale_of_the_slider_holds_all_scores(scores: list[float], expected: tuple[float, float]) -> None:
    data = data_of([("b", 0, 9, "run", score) for score in scores])
    assert (data["lowest"], data["highest"]) == expected
    assert data["lowest"] <= data["default_score"] <= data["highest"]


def sensitivity(features: int) -> Sensitivity:
    curve = [0.0] * 50 + [1.0] + [0.0] * 50
    fields = {"p_cls": curve, "p_loc": curve, "mu": {}, "sigma": {}, "training_segments": None}
    values = [number / features for number in range(features)]
    videos = {"b": {"first_s": 1.0, "step_s": 0.5, "q_cls": values, "q_loc": values}}
    head = {"format": "asl-kit/sensitivity", "version": 1, "split": "test", "mode": "quality"}
    u = [number / 100 - 0.5 for number in range(101)]
    return Sensitivity.model_validate(head | {"u": u, "classes": {"run": fields}, "videos": videos})


def test_short_curves_are_kept_as_they_are() -> None:
    learned = data_of([], sensitivity=sensitivity(4))["videos"][1]["learned"]
    assert learned == {"first": 1.0, "last": 2.5, "cls": [0.0, 0.25, 0.5, 0.75], "loc": [0.0, 0.25, 0.5, 0.75]}


def test_long_curves_are_means_at_the_middle_of_their_features() -> None:
    learned = data_of([], sensitivity=sensitivity(1001))["videos"][1]["learned"]  # 333 means of 3, and one of 2
    assert len(learned["cls"]) == 334 <= MAX_POINTS
    assert learned["first"] == 1.0 + 1 * 0.5  # features 0, 1, 2
    assert learned["last"] == 1.0 + 999.5 * 0.5  # features 999, 1000
    assert learned["cls"][0] == round(1 / 1001, 3)


def test_curves_of_classes_go_by_number_and_hold_start_centre_and_end() -> None:
    curves = data_of([], sensitivity=sensitivity(4))["curves"]
    assert list(curves) == ["1"]
    assert curves["1"]["cls"] == [0.0] * 10 + [1.0] + [0.0] * 10


@pytest.mark.parametrize("name", ["</script>", "<!--<script>", "]]>", "\u2028", "</SCRIPT ", "&lt;"])
def test_no_name_ends_the_element_that_holds_the_data(name: str, tmp_path: Path) -> None:
    page = HtmlPage("report")
    data = timeline_data(
        timelines([], last_class=name),
        tiou_thresholds=(0.5,),
        default_tiou=0.5,
        addresses={"b": "b.mp4"},
        sensitivity=None,
        predictions_per_video=1,
    )
    add_timelines(page, data)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    held = text.split('id="timeline-data">')[1].split("</script>")[0]
    assert json.loads(held)["classes"] == ["jump", name]
    assert "<" not in held
