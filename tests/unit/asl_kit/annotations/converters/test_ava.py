"""AVA: what persons do at moments, joined to segments."""

import pytest

from asl_kit.annotations.converters.ava import convert
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, UsageError

HALF = PointWindow(0.5, 0.5)
ACTIONS = 'label {\n  name: "bend/bow (at the waist)"\n  label_id: 1\n}\nitem {\n  name: "sit"\n  id: 11\n}\n'


def line(time, action=11, person="1", video="v"):
    return f"{video},{time},0.077,0.151,0.283,0.811,{action}" + (f",{person}" if person else "") + "\n"


def run(tmp_path, text, window=HALF, actions=ACTIONS, durations=""):
    (tmp_path / "ava_val_v2.2.csv").write_text(text)
    (tmp_path / "ava_action_list_v2.2.pbtxt").write_text(actions)
    sources = sorted(tmp_path.iterdir())
    if durations:
        (tmp_path / "durations.csv").write_text(f"video,duration\n{durations}")
        sources.append(tmp_path / "durations.csv")
    report = ConversionReport("ava")
    annotations = convert(sources, manifest=None, report=report, point_window=window)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def times(video):
    return [(segment.start, segment.end, segment.attributes.get("person")) for segment in video.segments]


def test_touching_windows_of_a_person_are_one_segment(tmp_path):
    text = line("0902") + line("0904") + line("0903") + line("0903", person="2") + line("0906") + line("0903", 1)
    annotations, report = run(tmp_path, text)
    assert times(annotations.videos["v"]) == [
        (901.5, 904.5, "1"),
        (902.5, 903.5, "1"),
        (902.5, 903.5, "2"),
        (905.5, 906.5, "1"),
    ]
    assert annotations.videos["v"].segments[0].attributes["points"] == 3
    assert annotations.classes() == ["bend/bow (at the waist)", "sit"]
    assert annotations.videos["v"].split == "val"
    assert any("2 were joined with the one before" in note for note in report.notes)


def test_short_windows_stay_apart_and_long_ones_are_joined(tmp_path):
    assert len(run(tmp_path, line(902) + line(903), PointWindow(0.25, 0.5))[0].videos["v"].segments) == 2
    assert times(run(tmp_path, line(902) + line(905), PointWindow(1, 2))[0].videos["v"]) == [(901.0, 907.0, "1")]


def test_version_1_has_no_persons_and_lists_may_lack_a_class(tmp_path):
    annotations, _ = run(tmp_path, line(902, 12, ""), durations="v,902.25\n")
    assert times(annotations.videos["v"]) == [(901.5, 902.25, None)]
    assert annotations.classes() == ["bend/bow (at the waist)", "sit", "action 12"]


def test_lists_of_timestamps_are_not_read(tmp_path):
    (tmp_path / "ava_val_excluded_timestamps_v2.2.csv").write_text("v,0904\n")
    (tmp_path / "ava_included_timestamps_v2.2.txt").write_text("0902\n")
    assert times(run(tmp_path, line("0902"))[0].videos["v"]) == [(901.5, 902.5, "1")]


def test_a_window_must_be_asked_for(tmp_path):
    with pytest.raises(UsageError, match="AVA's actions are points in time"):
        run(tmp_path, line(902), window=None)


FAULTS = {
    "cells": (line(902) + "v,902,1\n", ACTIONS, r"ava_val_v2\.2\.csv:2: expected `video,timestamp"),
    "time": (line(902) + line("soon"), ACTIONS, r"csv:2: video 'v': expected a time and an action"),
    "action": (line(902) + line(903, "sit"), ACTIONS, r"csv:2: video 'v': expected a time and an action"),
    "list": (line(902), "sit 11\n", "expected blocks `label"),
    "block": (line(902), 'label { name: "sit" }', "expected a name and a number in each block"),
}


@pytest.mark.parametrize(("text", "actions", "error"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path, text, actions, error):
    with pytest.raises(AnnotationError, match=error):
        run(tmp_path, text, actions=actions)
