"""Perception Test: actions and sounds, in microseconds."""

import json

import pytest

from asl_kit.annotations.converters.perception_test import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError

METADATA = {"split": "valid", "video_id": "v", "frame_rate": 30.0, "num_frames": 1050}


def item(label="Opening something", start=100000, end=900000, label_id=23):
    return {"id": 0, "label_id": label_id, "label": label, "parent_objects": [], "timestamps": [start, end]}


def run(tmp_path, document):
    path = tmp_path / "all_valid.json"
    path.write_text(json.dumps(document))
    report = ConversionReport("perception-test")
    annotations = convert([path], manifest=None, report=report)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def test_actions_and_sounds_are_two_vocabularies(tmp_path):
    entry = {"metadata": METADATA, "action_localisation": [item(), item("A", label_id=40)]}
    entry |= {"sound_localisation": [item("Hit", 2500000, 2533333, 3)]}
    annotations, _ = run(tmp_path, {"v": entry})
    assert annotations.vocabularies == {"action": ["Opening something", "A"], "sound": ["Hit"]}
    video = annotations.videos["v"]
    assert (video.split, video.duration, video.fps, video.frames) == ("val", 35.0, 30.0, 1050)
    assert [(segment.start, segment.end) for segment in video.segments] == [(0.1, 0.9), (0.1, 0.9), (2.5, 2.533333)]


def test_without_lists_a_video_is_not_annotated(tmp_path):
    document = {"a": {"metadata": METADATA}, "b": {"metadata": METADATA, "action_localisation": []}}
    videos = run(tmp_path, document)[0].videos
    assert [videos[name].segments for name in "ab"] == [None, []]


def test_beyond_the_video_is_clipped_and_reported(tmp_path):
    entry = {"metadata": METADATA, "action_localisation": [item(end=36000000), item(start=5, end=5), item(end="x")]}
    _, report = run(tmp_path, {"v": entry})
    assert [(found.outcome, found.reason.partition(":")[0]) for found in report.items] == [
        ("dropped", "action_localisation.2.end"),
        ("changed", "action_localisation.0"),
        ("dropped", "action_localisation.1.end"),
    ]


FAULTS = {
    "layout": ({"v": {}}, "expected {video: {.metadata"),
    "rate": ({"v": {"metadata": METADATA | {"frame_rate": 0}}}, "frame_rate and num_frames must be above 0"),
    "list": ({"v": {"metadata": METADATA, "action_localisation": {}}}, "must have metadata, and lists"),
    "times": (
        {"v": {"metadata": METADATA, "action_localisation": [item() | {"timestamps": [1]}]}},
        r"action_localisation\.0: must have a label and two timestamps",
    ),
}


@pytest.mark.parametrize(("document", "error"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path, document, error):
    with pytest.raises(AnnotationError, match=error):
        run(tmp_path, document)
