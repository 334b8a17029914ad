"""SoccerNet: points in time."""

import json

import pytest

from asl_kit.annotations.converters.soccernet import BALL_CLASSES, CLASSES, convert
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, UsageError

GAME = "england_epl/2014-2015/2015-05-17 - 18-00 A 1 - 1 B"
WINDOW = PointWindow(2, 5)


def event(time="1 - 00:07", label="Goal", position="7450", **others):
    return {"gameTime": time, "label": label, "position": position, "team": "home", "visibility": "visible"} | others


def run(folder, *events, window=WINDOW, durations="", url=GAME + "/", name="Labels-v2.json"):
    source = folder / name
    source.write_text(json.dumps({"UrlLocal": url, "annotations": events}))
    table = folder / "durations.csv"
    table.write_text("video,duration\n" + durations)
    report = ConversionReport("soccernet")
    sources = [folder, table] if durations else [source]
    annotations = convert(sources, manifest=None, report=report, point_window=window)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def times(video):
    return [(segment.start, segment.end, segment.labels["action"]) for segment in video.segments]


def test_each_half_is_a_video(tmp_path):
    annotations, report = run(tmp_path, event(), event("2 - 01:22", "Foul", 82400))
    assert list(annotations.videos) == [f"{GAME}/1", f"{GAME}/2"]
    first, second = annotations.videos.values()
    assert (times(first), times(second)) == ([(5.45, 12.45, "Goal")], [(80.4, 87.4, "Foul")])
    assert first.path == f"{GAME}/1_224p.mkv"
    assert first.segments[0].attributes == {"team": "home", "visibility": "visible", "point": 7.45}
    assert annotations.classes() == list(CLASSES)
    assert any("from 2 s before to 5 s after" in note for note in report.notes)


def test_windows_stay_within_the_half(tmp_path):
    events = (event("1 - 00:00", position="0"), event("1 - 45:00", position="2699000"))
    annotations, report = run(tmp_path, *events, durations=f"{GAME}/1,45:00\n")
    assert times(annotations.videos[f"{GAME}/1"]) == [(0.0, 5.0, "Goal"), (2697.0, 2700.0, "Goal")]
    assert report.items == []


def test_version_1_has_minutes_and_other_labels(tmp_path):
    annotations, _ = run(tmp_path, event("1 - 01:05", "soccer-ball", None))
    assert times(annotations.videos[f"{GAME}/1"]) == [(63.0, 70.0, "soccer-ball")]
    assert annotations.classes() == ["soccer-ball"]


BALL = {
    "2024": (["1 - 50:00"], "DRIVE", BALL_CLASSES[:2], {"1": "/224p.mp4"}),
    "2024, another class": (["1 - 50:00"], "SHOT", BALL_CLASSES, {"1": "/224p.mp4"}),
    "2023": (["1 - 01:00", "2 - 01:00"], "PASS", BALL_CLASSES[:2], {"1": "/1_224p.mkv", "2": "/2_224p.mkv"}),
}


@pytest.mark.parametrize(("moments", "label", "classes", "paths"), BALL.values(), ids=BALL)
def test_ball_action_spotting(tmp_path, moments, label, classes, paths):
    game = "england_efl/2019-2020/2019-10-01 - Reading - Fulham"
    events = [event(moment, label) for moment in moments]
    annotations, _ = run(tmp_path, *events, url=game, name="Labels-ball.json")
    assert annotations.classes() == list(classes)
    assert {name: (video.path, video.split) for name, video in annotations.videos.items()} == {
        f"{game}/{half}": (game + path, "test") for half, path in paths.items()
    }


def test_split_of_the_folder(tmp_path):
    (tmp_path / "valid").mkdir()
    annotations, _ = run(tmp_path / "valid", event(), url=None, durations="valid/1,45:00\n")
    assert [(name, video.split) for name, video in annotations.videos.items()] == [("valid/1", "val")]


def test_position_that_is_no_number_is_dropped(tmp_path):
    _, report = run(tmp_path, event(), event(position="soon"))
    assert [(item.outcome, item.reason) for item in report.items] == [
        ("dropped", "time: must be a finite number, found 'soon'")
    ]


def test_a_window_must_be_asked_for(tmp_path):
    with pytest.raises(UsageError, match="SoccerNet's events are points in time: state the length") as caught:
        run(tmp_path, event(), window=None)
    assert "--point-window 5" in caught.value.hint


@pytest.mark.parametrize("fault", [event("45:00"), event(label=None), "Goal", event(None)], ids=str)
def test_what_is_no_event_is_refused(tmp_path, fault):
    with pytest.raises(AnnotationError, match=r"annotations\.1: expected .*gameTime"):
        run(tmp_path, event(), fault)


def test_other_json_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(AnnotationError, match=r"x\.json: expected .*UrlLocal"):
        convert([tmp_path / "x.json"], manifest=None, report=ConversionReport("x"), point_window=PointWindow(1, 1))
