"""EPIC-SOUNDS: tables, the JSON file of OpenTAD, and what is damaged in either."""

import json

import pytest

from asl_kit.annotations.converters import epic_sounds
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifests.files import load_manifest

MANIFEST = load_manifest("epic-sounds")
TIMES = "annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,start_sample,stop_sample"


def run(sources, manifest=MANIFEST):
    report = ConversionReport("d")
    annotations = epic_sounds.convert(sources, manifest=manifest, report=report)
    report.compare(annotations, manifest)
    assert not [line for line in report.differences if "read, but" in line]
    return annotations, report


def times(start="00:00:01.000", stop="00:00:02.000", *, video="P01_01", samples=(24000, 48000), n=0):
    return f"{video}_{n},P01,{video},{start},{stop},{samples[0]},{samples[1]}"


def row(*arguments, label=("rustle", 4), **more):
    return f"{times(*arguments, **more)},a description,{label[0]},{label[1]}"


def write(folder, name, *lines):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_segments(folder, *rows, name="EPIC_Sounds_train.csv"):
    return write(folder, name, f"{TIMES},description,class,class_id", *rows)


def test_the_folder_as_published(tmp_path):
    write_segments(tmp_path, row(label=("zip", 42)))
    write_segments(tmp_path, row(video="P02_01"), name="EPIC_Sounds_validation.csv")
    write(tmp_path, "EPIC_Sounds_recognition_test_timestamps.csv", TIMES, times(video="P03_101"))
    write(tmp_path, "EPIC_Sounds_detection_test_videos.csv", "video_id", "P04_101", "P04_102")
    ignored = [f"{times(video=video)},hum" for video in ("P01_01", "P04_101", "P09_01")]
    write(tmp_path, "sound_events_not_categorised.csv", f"{TIMES},description", *ignored)
    write(tmp_path, "EPIC_100_video_info.csv", "video_id,duration,fps", "P01_01,9,59.94", "P04_101,8,50")
    annotations, report = run([tmp_path])
    assert len(annotations.classes()) == 44
    videos = annotations.videos
    assert {name: (video.split, video.duration, len(video.ignored)) for name, video in videos.items()} == {
        "P01_01": ("train", 9.0, 1),
        "P02_01": ("validation", 2.0, 0),
        "P03_101": ("recognition_test", 2.0, 0),
        "P04_101": ("test", 8.0, 1),
    }
    assert videos["P01_01"].segments[0].labels == {"action": "zip"}
    assert videos["P01_01"].segments[0].attributes == {"annotation_id": "P01_01_0", "description": "a description"}
    assert videos["P01_01"].ignored[0].reason == "hum"
    assert [videos[name].segments for name in ("P03_101", "P04_101")] == [None, None]
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [
        ("excluded", "segment", "P03_101"),
        ("excluded", "ignored", "P09_01"),
        ("dropped", "video", "P04_102"),
    ]
    assert "duration: not stated, and there is no segment to tell it" in report.items[2].reason


ROWS = {
    "as it should be": (row(), 1, []),
    "samples within half a millisecond": (row(samples=(24012, 47988)), 1, []),
    "samples beyond": (
        row(samples=(24013, 48000)),
        1,
        [("flagged", "start_timestamp: 00:00:01.000 is not at start_sample '24013' of 24 kHz")],
    ),
    "no sample": (
        row(samples=(24000, "")),
        1,
        [("flagged", "stop_timestamp: 00:00:02.000 is not at stop_sample '' of 24 kHz")],
    ),
    "class of another id": (
        row(label=("rustle", 5)),
        1,
        [("flagged", "class: 'rustle' is not the class 'water' of class_id 5, which counts")],
    ),
    "id of no class": (
        row(label=("rustle", 44)),
        0,
        [("dropped", "label: not in the vocabulary 'action', found 'class_id 44'")],
    ),
    "no time": (row("soon"), 0, [("dropped", "start: must be a finite number, found 'soon'")]),
}


@pytest.mark.parametrize(("line", "kept", "expected"), ROWS.values(), ids=ROWS)
def test_faulty_rows_are_reported(tmp_path, line, kept, expected):
    annotations, report = run([write_segments(tmp_path, row("00:00:00.000", samples=(0, 48000), n=1), line)])
    assert len(annotations.videos["P01_01"].segments) == 1 + kept
    assert [(item.outcome, item.reason) for item in report.items] == expected


def test_a_split_of_unknown_size_can_be_missing(tmp_path):
    _, report = run([write_segments(tmp_path, row(), name="EPIC_Sounds_validation.csv")])
    assert "split train: none found among the sources" in report.differences
    assert "split validation: 137 videos expected, 1 found" in report.differences
    _, report = run([write_segments(tmp_path, row())])
    assert not [line for line in report.differences if line.startswith("split train")]


def test_without_a_manifest_the_names_are_those_of_the_rows(tmp_path):
    path = write_segments(tmp_path, row(label=("rustle", 4)), row(label=("beep", 15), n=1))
    assert run([path], manifest=None)[0].vocabularies == {"action": ["beep", "rustle"]}


def test_json_of_opentad(tmp_path):
    path = tmp_path / "epic_sounds.json"
    annotations = [{"segment": [1, 2], "label": "id_004"}, {"segment": [1, 2], "label": "id_099"}]
    entry = {"subset": "val", "duration": 3.0, "annotations": annotations}
    path.write_text(json.dumps({"database": {"a": entry, "b": {"subset": "test", "duration": 4.0}}}))
    annotations, report = run([path])
    videos = annotations.videos
    assert [(video.split, video.duration) for video in videos.values()] == [("validation", 3.0), ("test", 4.0)]
    assert [segment.labels for segment in videos["a"].segments] == [{"action": "rustle"}]
    assert videos["b"].segments is None
    assert [(item.outcome, item.reason) for item in report.items] == [
        ("dropped", "annotations.1.label: not in the vocabulary 'action', found 'id_099'")
    ]


DAMAGED = {
    "columns of the test table": (
        ("EPIC_Sounds_validation.csv", TIMES, times()),
        r"validation\.csv:1: column 'description' is missing; column 'class' is missing",
    ),
    "in two splits": (
        ("EPIC_Sounds_detection_test_videos.csv", "video_id", "P01_01"),
        r"videos\.csv:2: video 'P01_01': split: 'test' contradicts 'train'",
    ),
    "cut off": (("sound_events_not_categorised.csv", f"{TIMES},description", "P01_01_NC_0,P01"), "2 cells, expected 8"),
    "no video": (
        ("EPIC_Sounds_recognition_test_timestamps.csv", TIMES, times(video="")),
        r"timestamps\.csv:2: video_id: must be the name of a video, found ''",
    ),
    "another file": (("EPIC_100_train.csv", "x", "y"), r"train\.csv: expected EPIC_Sounds_train\.csv, "),
    "tables and JSON": (("epic_sounds.json", '{"database": {}}'), r"sounds\.json: expected EPIC_Sounds_train\.csv"),
}


@pytest.mark.parametrize(("lines", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_sources(tmp_path, lines, message):
    with pytest.raises(AnnotationError, match=message):
        run([write_segments(tmp_path, row()), write(tmp_path, *lines)])


def test_binary_and_missing_files(tmp_path):
    path = tmp_path / "EPIC_Sounds_train.csv"
    path.write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(AnnotationError, match="not UTF-8 text"):
        run([path])
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        run([tmp_path / "none.csv"])
    with pytest.raises(AnnotationError, match=r"x\.json: not a JSON file"):
        run([write(tmp_path, "x.json", "{")])
    with pytest.raises(MissingFileError, match=r"none\.json: no such file"):
        run([tmp_path / "none.json"])
