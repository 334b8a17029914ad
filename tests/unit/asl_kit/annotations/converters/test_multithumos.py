"""MultiTHUMOS: the official text files, and JSON files that others made of them."""

import json

import pytest

from asl_kit.annotations.converters import multithumos, thumos14
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifests.files import load_manifest

CLASSES = load_manifest("multithumos").classes


def run(*sources, manifest="multithumos", converter=multithumos):
    report = ConversionReport("multithumos")
    facts = load_manifest(manifest) if manifest else None
    annotations = converter.convert(sources, manifest=facts, report=report)
    report.compare(annotations, facts)
    assert not any("read, but" in line for line in report.differences)
    return annotations, report


def segments(video):
    return [(item.start, item.end, item.labels["action"]) for item in video.segments]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "multithumos"
    (folder / "annotations").mkdir(parents=True)
    (folder / "README").write_text("what this is\n")
    (folder / "class_list.txt").write_text(
        "".join(f"{number} {name}\n" for number, name in enumerate(CLASSES, start=1))
    )
    (folder / "annotations" / "Walk.txt").write_text(
        "video_validation_0000001 1.00 2.50\nvideo_test_0000002 8.0 12.0\n\nvideo_test_0000002  9.5 11\n"
    )
    (folder / "annotations" / "NoHuman.txt").write_text("video_test_0000002 0.03 1.0\n")
    return folder


def test_unpacked_archive(folder):
    annotations, report = run(folder)
    validation, test = annotations.videos["video_validation_0000001"], annotations.videos["video_test_0000002"]
    assert (validation.split, test.split) == ("validation", "test")
    assert segments(test) == [(0.03, 1.0, "NoHuman"), (8.0, 12.0, "Walk"), (9.5, 11.0, "Walk")]
    assert report.items == []
    assert report.notes == ["the duration of 2 videos is not stated: taken from the end of their last segment"]
    assert [file.name for file in annotations.source.files] == ["NoHuman.txt", "Walk.txt", "class_list.txt"]
    assert "split validation: 18482 segments expected, 1 found" in report.differences


def test_folder_of_annotations_and_single_files_are_the_same(folder):
    inner = folder / "annotations"
    one, other = run(inner)[0], run(inner / "Walk.txt", inner / "NoHuman.txt", folder / "README")[0]
    assert one == other
    assert one.videos == run(folder)[0].videos


def test_durations_from_a_table_clip_and_drop(folder, tmp_path):
    table = tmp_path / "durations.csv"
    table.write_text(
        "video,duration,fps\nvideo_validation_0000001,2.2,30\nvideo_test_0000002,9,25\nvideo_test_0000009,9,25\n"
    )
    annotations, report = run(folder, table)
    validation = annotations.videos["video_validation_0000001"]
    assert (validation.duration, validation.fps, validation.segments[0].end) == (2.2, 30.0, 2.2)
    assert sorted((item.outcome, item.where[-10:]) for item in report.items) == [
        ("changed", "Walk.txt:1"),
        ("changed", "Walk.txt:2"),
        ("dropped", "Walk.txt:4"),
    ]
    assert "1 videos of the tables of durations are not annotated, and left out" in report.notes


@pytest.mark.parametrize("style", ["{number} {name}", "{name}"], ids=["with numbers", "names only"])
def test_list_of_classes_is_held_against_the_manifest(folder, style):
    def notes(names):
        lines = [style.format(number=number, name=name) for number, name in enumerate(names, start=1)]
        (folder / "class_list.txt").write_text("\n".join(lines))
        return [note for note in run(folder)[1].notes if "class_list" in note]

    assert notes(CLASSES) == []
    swapped = [*CLASSES[:20], "Sit", "Walk", *CLASSES[22:]]
    assert notes(swapped) == ["class_list.txt: class 21 is Sit, Walk in the manifest's order, which is used"]
    assert "class 65 is nothing, NoHuman" in notes(CLASSES[:64])[0]
    assert "class 66 is Swim, nothing" in notes([*CLASSES, "Swim"])[0]


def test_file_of_no_class_is_dropped_and_reported(folder):
    (folder / "annotations" / "Swim.txt").write_text("video_test_0000002 1.0 2.0\n")
    _, report = run(folder)
    assert [(item.outcome, item.kind, item.where[-10:]) for item in report.items] == [
        ("dropped", "segment", "Swim.txt:1")
    ]
    assert "not in the vocabulary 'action', found 'Swim'" in report.items[0].reason


DAMAGED = {
    "two cells": (
        b"video_test_0000002 1.0\n",
        r"Walk\.txt:1: expected `video start end`, found 'video_test_0000002 1\.0'",
    ),
    "other name": (
        b"holiday 1.0 2.0\n",
        r"Walk\.txt:1: video 'holiday': the name states no split: expected .*video_test_",
    ),
    "binary": (bytes(range(256)), r"Walk\.txt: not UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_text_file(folder, content, message):
    (folder / "annotations" / "Walk.txt").write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        run(folder)


@pytest.mark.parametrize("times", ["2.0 1.0", "1.0 1.0", "x 1.0", "1.0 nan", "1e999 2", "1_0 20"])
def test_faulty_times_are_reported(folder, times):
    (folder / "annotations" / "Run.txt").write_text(f"video_test_0000002 {times}\n")
    _, report = run(folder)
    assert [(item.outcome, item.kind) for item in report.items] == [("dropped", "segment")]


def test_wrong_sources(tmp_path):
    with pytest.raises(AnnotationError, match=r"no file named \*\.txt in this folder"):
        run(tmp_path)
    with pytest.raises(MissingFileError, match="no such file"):
        run(tmp_path / "none")
    (tmp_path / "Walk.xls").write_text("x")
    with pytest.raises(AnnotationError, match=r"Walk\.xls: expected \*\.txt"):
        run(tmp_path / "Walk.xls")
    (tmp_path / "Walk.txt").write_text("")
    with pytest.raises(AnnotationError, match=r"no video in Walk\.txt"):
        run(tmp_path)


def write_json(folder, document):
    path = folder / "multithumos.json"
    path.write_text(json.dumps(document))
    return path


def test_class_numbers_count_from_1_and_names_tell_the_split(tmp_path):
    actions = [[1, 1.0, 2.0], [65, 0.5, 9.0], [66, 1.0, 2.0], [0, 1.0, 2.0]]
    path = write_json(
        tmp_path,
        {
            "video_test_0000002": {"subset": "testing", "duration": 8.0, "actions": actions},
            "video_validation_0000001": {"subset": "training", "duration": 8.0, "actions": []},
        },
    )
    annotations, report = run(path)
    assert segments(annotations.videos["video_test_0000002"]) == [(0.5, 8.0, "NoHuman"), (1.0, 2.0, "BaseballPitch")]
    assert [video.split for video in annotations.videos.values()] == ["test", "validation"]
    assert annotations.videos["video_validation_0000001"].segments == []
    assert [item.outcome for item in report.items] == ["changed", "dropped", "dropped"]
    assert [item.reason[-8:] for item in report.items[1:]] == ["mber 66'", "umber 0'"]


@pytest.mark.parametrize(("converter", "manifest"), [(multithumos, "multithumos"), (thumos14, "thumos14")])
def test_opentads_validation_videos_are_test_videos(tmp_path, converter, manifest):
    entry = {"duration": 8.0, "frame": 240, "annotations": [{"segment": [1.0, 2.0], "label": "Diving"}]}
    path = write_json(
        tmp_path,
        {
            "database": {
                "video_validation_0000001": entry | {"subset": "training"},
                "video_test_0000002": entry | {"subset": "validation"},
            }
        },
    )
    videos = run(path, manifest=manifest, converter=converter)[0].videos
    assert (videos["video_validation_0000001"].split, videos["video_test_0000002"].split) == ("validation", "test")


REFUSED_JSON = {
    "list": ([], r"multithumos\.json: expected \{\"database\""),
    "empty": ({}, r"multithumos\.json: expected \{\"database\""),
    "numbers": ({"a": 1}, r"multithumos\.json: expected \{\"database\""),
    "no actions": ({"a": {"subset": "x"}}, r"video 'a': actions: must be a list of \[class, start, end\], found None"),
    "one is no table": ({"a": {"actions": []}, "b": 7}, r"video 'b': actions: must be a list .* found None"),
    "two cells": (
        {"a": {"actions": [[1, 2.0]]}},
        r"video 'a': actions\.0: must be \[class, start, end\], found \[1, 2\.0\]",
    ),
    "class of text": ({"a": {"actions": [["Walk", 1, 2]]}}, r"video 'a': actions\.0: must be \[class, start, end\]"),
    "class true": ({"a": {"actions": [[True, 1, 2]]}}, r"video 'a': actions\.0: must be \[class, start, end\]"),
}


@pytest.mark.parametrize(("document", "message"), REFUSED_JSON.values(), ids=REFUSED_JSON)
def test_json_of_another_layout(tmp_path, document, message):
    with pytest.raises(AnnotationError, match=message):
        run(write_json(tmp_path, document))


def test_facts_of_the_manifest():
    manifest = load_manifest("multithumos")
    assert (len(CLASSES), CLASSES[:20]) == (65, load_manifest("thumos14").classes)
    assert (CLASSES[20], CLASSES[64]) == ("Walk", "NoHuman")
    assert sum(count.segments for count in manifest.expected.values()) == 38690
    assert (manifest.splits.train, manifest.splits.evaluate) == ("validation", "test")
