"""Converters of published datasets and of their JSON layouts, and the report they fill."""

import json

import pytest

from asl_kit.annotations import IgnoredSegment
from asl_kit.annotations.converters import activitynet, activitynet_json, thumos14
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifests.files import load_manifest


def run(converter, sources, manifest=None):
    report = ConversionReport("d")
    facts = load_manifest(manifest) if manifest else None
    annotations = converter.convert(sources, manifest=facts, report=report)
    report.compare(annotations, facts)
    return annotations, report


def write_json(tmp_path, database, **more):
    path = tmp_path / "source.json"
    path.write_text(json.dumps({"database": database} | more))
    return path


def entry(*segments, subset="training", duration=10.0, **more):
    annotations = [{"label": label, "segment": [start, end]} for start, end, label in segments]
    return {"subset": subset, "duration": duration, "annotations": annotations} | more


@pytest.fixture
def thumos(tmp_path):
    folder = tmp_path / "annotation"
    folder.mkdir()
    (folder / "Diving_val.txt").write_text("video_validation_0000001  1.0 2.5\nvideo_validation_0000001  8.0 12.0\n\n")
    (folder / "Ambiguous_val.txt").write_text("video_validation_0000001  3.0 4.0\n")
    (folder / "Ambiguous_test.txt").write_text("video_test_0001292 5.0 6.0\n")
    (folder / "readme.txt").write_text("nothing to convert\n")
    return folder


def test_thumos_text_files(thumos):
    annotations, report = run(thumos14, [thumos], "thumos14")
    validation, test = annotations.videos["video_validation_0000001"], annotations.videos["video_test_0001292"]
    assert [(s.start, s.end, s.labels["action"]) for s in validation.segments] == [
        (1.0, 2.5, "Diving"),
        (8.0, 12.0, "Diving"),
    ]
    assert validation.ignored == [IgnoredSegment(start=3.0, end=4.0, reason="Ambiguous")]
    assert (validation.split, validation.duration, test.split) == ("validation", 12.0, "test")
    assert (test.segments, len(test.ignored)) == ([], 1)
    assert annotations.classes().index("Diving") == 7
    assert sum("duration of 2 videos" in note for note in report.notes) == 1
    assert "split validation: 3007 segments expected, 2 found" in report.differences


def test_thumos_durations_from_a_table_clip_and_drop(thumos, tmp_path):
    table = tmp_path / "durations.csv"
    table.write_text(
        "video,duration,fps\nvideo_validation_0000001,10,30\nvideo_test_0001292,5,25\nvideo_test_0000002,1,30\n"
    )
    annotations, report = run(thumos14, [thumos, table])
    validation = annotations.videos["video_validation_0000001"]
    assert (validation.duration, validation.fps, validation.segments[1].end) == (10.0, 30.0, 10.0)
    assert annotations.videos["video_test_0001292"].ignored == []
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [
        ("dropped", "ignored", "video_test_0001292"),
        ("changed", "segment", "video_validation_0000001"),
    ]
    assert "1 videos of the tables of durations are not annotated, and left out" in report.notes
    assert report.differences == []


def test_thumos_class_that_is_none_is_dropped_and_reported(thumos):
    (thumos / "Running_val.txt").write_text("video_validation_0000001 1.0 2.0\n")
    _, report = run(thumos14, [thumos], "thumos14")
    assert [(item.outcome, item.kind) for item in report.items] == [("dropped", "segment")]
    assert "not in the vocabulary 'action', found 'Running'" in report.items[0].reason


def test_thumos_json_of_actionformer(tmp_path):
    annotation = {"label": "Diving", "segment": [1.0, 2.0], "segment(frames)": [30.0, 60.0], "label_id": 7}
    ambiguous = {"label": "Ambiguous", "segment": [3.0, 4.0]}
    database = {
        "video_test_0000004": {"subset": "Test", "duration": 33.73, "fps": 30.0, "annotations": [annotation, ambiguous]}
    }
    annotations, report = run(thumos14, [write_json(tmp_path, database, version="THUMOS14")], "thumos14")
    video = annotations.videos["video_test_0000004"]
    assert (video.split, video.fps, len(video.segments), len(video.ignored)) == ("test", 30.0, 1, 1)
    assert video.segments[0].attributes == {}
    assert sum("video_test_0001292 is not in the source" in note for note in report.notes) == 1


THUMOS_FAULTS = {
    "two cells": (
        "video_validation_0000002 1.0\n",
        r"Diving_val\.txt:1: expected `video start end`, found 'video_validation",
    ),
    "in both splits": (
        "video_test_0001292 1.0 2.0\n",
        r"Diving_val\.txt:1: .*split: 'validation' contradicts 'test'",
    ),
}


@pytest.mark.parametrize(("line", "message"), THUMOS_FAULTS.values(), ids=THUMOS_FAULTS)
def test_thumos_damaged_line(thumos, line, message):
    (thumos / "Diving_val.txt").write_text(line)
    with pytest.raises(AnnotationError, match=message):
        run(thumos14, [thumos])


def test_thumos_wrong_sources(tmp_path):
    with pytest.raises(AnnotationError, match=r"no file named \*_val\.txt or \*_test\.txt in this folder"):
        run(thumos14, [tmp_path])
    with pytest.raises(MissingFileError, match="no such file"):
        run(thumos14, [tmp_path / "none"])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(AnnotationError, match=r"notes\.txt: expected \*_val\.txt"):
        run(thumos14, [tmp_path / "notes.txt"])


def test_activitynet_mends_and_reports(tmp_path):
    database = {
        "a": entry((0.0, 0.0, "Archery"), (2.0, 12.0, "Archery"), (1.0, 10.05, "BMX")),
        "b": entry((1.0, 1.0, "BMX")),
        "c": entry(subset="testing"),
        "d": entry((11.0, 12.0, "BMX"), (1.0, 2.0, "Sleeping"), subset="Validation"),
    }
    annotations, report = run(
        activitynet, [write_json(tmp_path, database, version="VERSION 1.3", taxonomy=[])], "activitynet"
    )
    segments = annotations.videos["a"].segments
    assert [(s.start, s.end, s.labels["action"]) for s in segments] == [(1.0, 10.05, "BMX"), (2.0, 10.0, "Archery")]
    assert [annotations.videos[name].segments for name in "bcd"] == [[], None, []]
    assert annotations.videos["d"].split == "validation"
    assert annotations.dataset == "activitynet13"
    outcomes = sorted((item.outcome, item.kind, item.video) for item in report.items)
    assert outcomes == [
        ("changed", "segment", "a"),
        ("changed", "video", "b"),
        ("changed", "video", "d"),
        ("dropped", "segment", "a"),
        ("dropped", "segment", "b"),
        ("dropped", "segment", "d"),
        ("dropped", "segment", "d"),
    ]
    assert report.segments_read == 6
    assert not any("read, but" in line for line in report.differences)
    assert "split training: 15410 segments expected, 4 found" in report.differences


def test_users_json_is_refused_with_all_faults(tmp_path):
    database = {
        "a": entry((3.0, 2.0, "x"), (1.0, 20.0, "x"), ("1", 2.0, "x")),
        "b": entry(duration="long"),
        "c": {
            "subset": "train",
            "duration": 3,
            "annotations": [{"label": "x", "segment": [1]}, {"segment": [1, 2]}, 7],
        },
        "d": [],
        "e": entry(frames=1.5, ignored=7),
        "f": entry() | {"annotations": 3},
    }
    with pytest.raises(AnnotationError, match="11 errors") as caught:
        run(activitynet_json, [write_json(tmp_path, database)])
    for text in (
        "video 'a': annotations.0.end: must be after the start (3.0), found 2.0",
        "video 'a': annotations.1.end: must be within the video's duration (10.0), found 20.0",
        "video 'a': annotations.2.start: must be a finite number, found '1'",
        "video 'b': duration: must be a number above 0, found 'long'",
        "video 'c': annotations.0.segment: must be [start, end], found [1]",
        "video 'c': annotations.1.label: must be the name of a class, found None",
        "video 'c': annotations.2: must be a table, found 7",
        "video 'd': must be a table, found []",
        "video 'e': frames: must be a whole number above 0, found 1.5",
        "video 'e': ignored: must be a list, found 7",
        "video 'f': annotations: must be a list, found 3",
    ):
        assert text in caught.value.message


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"database": []}', "{", ""], ids=["list", "empty", "no table", "cut", "nothing"]
)
def test_json_of_another_layout(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=r"x\.json: (database: missing|not a JSON file)"):
        run(activitynet_json, [path])


CLASS_ORDERS = {
    "by label_id": ([("b", 0), ("a", 1)], ["b", "a"]),
    "without ids": ([("b", None), ("a", None)], ["a", "b"]),
    "ids with a gap": ([("b", 0), ("a", 2)], ["a", "b"]),
    "one id for all": ([("b", 0), ("a", 0)], ["a", "b"]),
}


@pytest.mark.parametrize(("labels", "order"), CLASS_ORDERS.values(), ids=CLASS_ORDERS)
def test_class_order(tmp_path, labels, order):
    annotations = [
        {"label": label, "segment": [0, 1]} | ({} if label_id is None else {"label_id": label_id})
        for label, label_id in labels
    ]
    path = write_json(tmp_path, {"v": {"subset": "s", "duration": 2, "annotations": annotations}})
    assert run(activitynet_json, [path])[0].classes() == order


def test_not_annotated_and_without_action_stay_apart(tmp_path):
    database = {
        "a": entry(),
        "b": {"subset": "s", "duration": 1},
        "c": entry(annotated=False),
        "d": entry() | {"annotations": None},
    }
    videos = run(activitynet_json, [write_json(tmp_path, database)])[0].videos
    assert [videos[name].segments for name in "abcd"] == [[], None, None, None]


MISSPELT = {
    "of a video": (
        {"subset": "s", "duration": 9, "annotation": []},
        "unknown key 'annotation' .did you mean 'annotations'",
    ),
    "capitals": ({"Duration": 9, "annotations": []}, "unknown key 'Duration' .did you mean 'duration'"),
    "of a segment": (
        {"duration": 9, "annotations": [{"label": "x", "segment": [1, 2], "xlabels": {"action": "x"}}]},
        "annotations.0.xlabels: unknown key .did you mean 'labels'",
    ),
    "no class": (
        {"duration": 9, "annotations": [{"label": "nan", "segment": [1, 2]}]},
        "annotations.0.label: must be the name of a class, found 'nan'",
    ),
}


@pytest.mark.parametrize(("entry", "error"), MISSPELT.values(), ids=MISSPELT)
def test_almost_known_keys_and_words_for_no_value_are_refused(tmp_path, entry, error):
    with pytest.raises(AnnotationError, match=error):
        run(activitynet_json, [write_json(tmp_path, {"a": entry})])


def test_what_is_not_kept_is_noted_and_what_can_be_is(tmp_path):
    database = {"a": entry((1.0, 2.0, "x"), title="t")}
    database["a"]["annotations"][0]["annotator"] = 3
    annotations, report = run(activitynet_json, [write_json(tmp_path, database)])
    assert "source.json: key 'title' of 1 videos is not kept" in report.notes
    assert annotations.videos["a"].segments[0].attributes == {"annotator": 3}


def test_converter_that_loses_items_is_found_out():
    report = ConversionReport("d", videos_read=2, segments_read=3)
    annotations = run_sound()
    report.compare(annotations, None)
    assert report.differences == [
        "2 videos read, but 1 kept and 0 reported as left out",
        "3 segments read, but 1 kept and 0 reported as left out",
    ]


def run_sound():
    from helpers.support import make_annotation_set

    return make_annotation_set({"a": ("train", [(1.0, 2.0, "x")])}, ["x"])
