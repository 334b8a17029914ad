"""EPIC-KITCHENS-100: tables, JSON files of ActionFormer and OpenTAD, and what is damaged in either."""

import json

import pytest

from asl_kit.annotations.converters import epic_kitchens
from asl_kit.annotations.converters.epic_shared import seconds
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, AslKitError, MissingFileError
from asl_kit.manifests.files import load_manifest

MANIFEST = load_manifest("epic-kitchens")
COLUMNS = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame"
)
LABELS = "narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"


def run(sources, manifest=MANIFEST):
    report = ConversionReport("d")
    annotations = epic_kitchens.convert(sources, manifest=manifest, report=report)
    report.compare(annotations, manifest)
    assert not [line for line in report.differences if "read, but" in line]
    return annotations, report


def row(
    start="00:00:01.00", stop="00:00:02.00", *, video="P01_01", frames=(60, 120), verb=("take", 0), noun=("tap", 0), n=0
):
    labels = f"a narration,{verb[0]},{verb[1]},{noun[0]},{noun[1]},['x'],[0]"
    return f"{video}_{n},P01,{video},,{start},{stop},{frames[0]},{frames[1]},{labels}"


def write(folder, name, *lines):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_segments(folder, *rows, name="EPIC_100_train.csv"):
    return write(folder, name, f"{COLUMNS},{LABELS}", *rows)


def items(report):
    return [(item.outcome, item.kind, item.reason) for item in report.items]


TIMESTAMPS = {
    "zero": ("00:00:00.00", 0.0),
    "no noise of floats": ("00:05:49.16", 349.16),
    "hours and milliseconds": ("01:02:03.004", 3723.004),
    "whole": ("00:01:00", 60.0),
    "no minute has 60 seconds": ("00:00:60.00", "00:00:60.00"),
    "two parts": ("01:02.5", "01:02.5"),
    "negative": ("-00:00:01.00", "-00:00:01.00"),
    "Arabic digits": ("٠٠:٠٠:٠١.٠٠", "٠٠:٠٠:٠١.٠٠"),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("text", "expected"), TIMESTAMPS.values(), ids=TIMESTAMPS)
def test_timestamps(text, expected):
    assert seconds(text) == expected


def test_the_folder_as_published(tmp_path):
    write_segments(tmp_path, row(), row(video="P01_02", noun=("spoon", 1)))
    write_segments(tmp_path, row(video="P02_101", frames=(50, 100)), name="EPIC_100_validation.csv")
    write(tmp_path, "EPIC_100_test_timestamps.csv", COLUMNS, "P03_01_0,P03,P03_01,,00:00:01.00,00:00:02.00,60,120")
    write(tmp_path, "EPIC_100_video_info.csv", "video_id,duration,fps", "P01_01,9,59.94", "P03_01,8,50", "P09_01,1,50")
    write(tmp_path, "README.md", "nothing to convert")
    annotations, report = run([tmp_path])
    assert {name: len(classes) for name, classes in annotations.vocabularies.items()} == {"noun": 300, "verb": 97}
    videos = annotations.videos
    assert [(video.split, video.duration, video.fps) for video in videos.values()] == [
        ("train", 9.0, 59.94),
        ("train", 2.0, None),
        ("validation", 2.0, None),
        ("test", 8.0, 50.0),
    ]
    assert videos["P01_02"].segments[0].labels == {"verb": "take", "noun": "spoon"}
    assert videos["P01_02"].segments[0].attributes == {"narration": "a narration", "narration_id": "P01_02_0"}
    assert videos["P03_01"].segments is None
    assert items(report) == [("excluded", "segment", "has no class: this split is not annotated")]
    assert "EPIC_100_video_info.csv: 1 videos are in none of the given splits and are left out" in report.notes
    assert [file.name for file in annotations.source.files] == [
        "EPIC_100_test_timestamps.csv",
        "EPIC_100_train.csv",
        "EPIC_100_validation.csv",
        "EPIC_100_video_info.csv",
    ]


def test_test_videos_without_a_duration_end_with_their_last_timestamp(tmp_path):
    path = write(
        tmp_path,
        "EPIC_100_test_timestamps.csv",
        COLUMNS,
        "P03_01_0,P03,P03_01,,00:00:05.00,00:00:07.50,1,2",
        "P03_01_1,P03,P03_01,,00:00:01.00,00:00:02.00,1,2",
    )
    annotations, report = run([path])
    assert annotations.videos["P03_01"].duration == 7.5
    assert "the duration of 1 test videos is not stated: taken from their last timestamp" in report.notes


FRAMES = {
    "first edition counts 60": ("P01_01", (600, 1200), []),
    "extension counts 50": ("P01_101", (500, 1000), []),
    "a frame late": ("P01_01", (601, 1199), []),
    "two frames late": ("P01_01", (602, 1200), ["start_timestamp: 00:00:10.00 is not at start_frame '602'"]),
    "extension at 60": ("P01_101", (500, 1200), ["stop_timestamp: 00:00:20.00 is not at stop_frame '1200'"]),
    "no number": ("P01_01", ("nan", 1200), ["start_timestamp: 00:00:10.00 is not at start_frame 'nan'"]),
    "empty": ("P01_01", ("", "x"), ["start_timestamp: 00:00:10.00 is not at", "stop_timestamp: 00:00:20.00 is not"]),
}


@pytest.mark.parametrize(("video", "frames", "expected"), FRAMES.values(), ids=FRAMES)
def test_frames_are_held_against_timestamps(tmp_path, video, frames, expected):
    path = write_segments(tmp_path, row("00:00:10.00", "00:00:20.00", video=video, frames=frames))
    annotations, report = run([path])
    assert len(annotations.videos[video].segments) == 1
    assert [item.outcome for item in report.items] == ["flagged"] * len(expected)
    assert all(item.reason.startswith(text) for item, text in zip(report.items, expected, strict=True))


ROWS = {
    "verb of no number": (row(verb=("take", 97)), "dropped", "not in the vocabulary 'verb', found 'verb_class 97'"),
    "noun by name": (row(noun=("tap", "tap")), "dropped", "not in the vocabulary 'noun', found 'noun_class tap'"),
    "noun of the second table": (row(noun=("foot", 302)), "dropped", "found 'noun_class 302'"),
    "no time": (row(start="soon"), "dropped", "start: must be a finite number, found 'soon'"),
    "backwards": (row("00:00:02.00", "00:00:01.00", frames=(120, 60)), "dropped", "end: must be after the start"),
    "beyond the video": (row(stop="00:00:11.00", frames=(60, 660)), "changed", "clipped to [1.0, 10.0)"),
    "same id again": (row(n=9), "flagged", "narration_id: 'P01_01_9' is that of line 2 too"),
}


@pytest.mark.parametrize(("line", "outcome", "reason"), ROWS.values(), ids=ROWS)
def test_faulty_rows_are_reported(tmp_path, line, outcome, reason):
    path = write_segments(tmp_path, row("00:00:08.00", "00:00:09.00", frames=(480, 540), n=9), line)
    info = write(tmp_path, "EPIC_100_video_info.csv", "video_id,duration,fps,resolution", "P01_01,10,60,1x1")
    annotations, report = run([path, info])
    assert [(item.outcome, item.kind, item.where) for item in report.items] == [(outcome, "segment", f"{path}:3")]
    assert reason in report.items[0].reason
    assert len(annotations.videos["P01_01"].segments) == (1 if outcome == "dropped" else 2)


def test_words_are_held_against_the_tables_of_classes(tmp_path):
    verbs = write(tmp_path, "EPIC_100_verb_classes.csv", "id,key,instances,category", "0,take,\"['get', 'take']\",x")
    first = write(tmp_path, "EPIC_100_noun_classes.csv", "id,key,instances,category", "0,tap,['tap'],x")
    second = write(tmp_path, "EPIC_100_noun_classes_v2.csv", "id,key,instances", "0,tap,\"['tap:hot']\"", "304,g,['g']")
    path = write_segments(tmp_path, row(verb=("get", 0)), row(noun=("tap:hot", 0), n=1), row(verb=("cut", 0), n=2))
    _, report = run([path, verbs, first, second])
    reason = "verb_class: 'cut' is no word of the class 0 ('take'), which counts"
    assert items(report) == [("flagged", "segment", reason)]
    note = "EPIC_100_noun_classes_v2.csv: 1 ids that no segment of EPIC-KITCHENS-100 has are left out"
    assert note in report.notes


def test_without_a_manifest_the_tables_name_the_classes(tmp_path):
    write(tmp_path, "EPIC_100_verb_classes.csv", "id,key,instances", "1,put,['put']", "0,take,['take']")
    path = write_segments(tmp_path, row())
    with pytest.raises(AnnotationError, match="classes of noun are not known: add EPIC_100_verb_classes"):
        run([tmp_path], manifest=None)
    write(tmp_path, "EPIC_100_noun_classes.csv", "id,key,instances", "0,tap,['tap']")
    annotations, _ = run([tmp_path], manifest=None)
    assert annotations.vocabularies == {"noun": ["tap"], "verb": ["take", "put"]}
    with pytest.raises(AnnotationError, match="classes of verb and noun are not known"):
        run([path], manifest=None)


TABLES = {
    "key of another class": (
        ("EPIC_100_verb_classes.csv", "id,key,instances", "0,put,['put']"),
        r"verb_classes\.csv:2: key: 'put' contradicts 'take', the class 0 of the manifest",
    ),
    "id twice": (
        ("EPIC_100_noun_classes.csv", "id,key,instances", "0,tap,['tap']", "0,spoon,['spoon']"),
        r"noun_classes\.csv:3: key: 'spoon' cannot be the class '0'",
    ),
    "no key": (("EPIC_100_verb_classes.csv", "id,name", "0,take"), r"csv:1: column 'key' is missing"),
    "no duration": (
        ("EPIC_100_video_info.csv", "video_id,duration,fps", "P01_01,,50"),
        r"info\.csv:2: video 'P01_01': duration: must be a number above 0, found ''",
    ),
    "frame rate that is none": (
        ("EPIC_100_video_info.csv", "video_id,duration,fps", "P01_01,5,nan"),
        r"fps: must be a number above 0, found 'nan'",
    ),
    "two durations": (
        ("EPIC_100_video_info.csv", "video_id,duration,fps", "P01_01,5,50", "P01_01,6,50"),
        r"info\.csv:3: video 'P01_01': duration: 6\.0 contradicts 5\.0",
    ),
    "in two splits": (
        ("EPIC_100_validation.csv", f"{COLUMNS},{LABELS}", row()),
        r"validation\.csv:2: video 'P01_01': split: 'validation' contradicts 'train'",
    ),
    "no video": (
        ("EPIC_100_validation.csv", f"{COLUMNS},{LABELS}", row(video="")),
        r"validation\.csv:2: video_id: must be the name of a video, found ''",
    ),
    "cut off": (
        ("EPIC_100_validation.csv", f"{COLUMNS},{LABELS}", row(video="P02_01"), "P02_01_1,P02,P02"),
        r"validation\.csv:3: 3 cells, expected 15",
    ),
    "columns of the test table": (("EPIC_100_validation.csv", COLUMNS, "x"), r"column 'verb_class' is missing"),
    "empty": (("EPIC_100_validation.csv", ""), "empty; expected a first line"),
    "another file": (("EPIC_100_tail_verbs.csv", "verb", "3"), r"tail_verbs\.csv: expected EPIC_100_train\.csv, "),
}


@pytest.mark.parametrize(("lines", "message"), TABLES.values(), ids=TABLES)
def test_damaged_tables(tmp_path, lines, message):
    with pytest.raises(AnnotationError, match=message):
        run([write_segments(tmp_path, row()), write(tmp_path, *lines)])


def test_binary_files_and_folders(tmp_path):
    path = tmp_path / "EPIC_100_train.csv"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(AnnotationError, match=r"a workbook .* or another ZIP archive"):
        run([path])
    path.write_bytes(b"narration_id\nk\xfcche\n")
    with pytest.raises(AnnotationError, match=r"train\.csv:2: not UTF-8 text: byte 0xFC at character 2 of the line$"):
        run([path])
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        run([tmp_path / "none.csv"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match=r"empty: no file named EPIC_100_train\.csv, .* in this folder"):
        run([tmp_path / "empty"])
    twice = [write_segments(folder, row()) for folder in (tmp_path, tmp_path / "empty")]
    with pytest.raises(AnnotationError, match=r"train\.csv: given twice, also as"):
        run(twice)
    with pytest.raises(AslKitError, match="no video in"):
        run([write(tmp_path, "EPIC_100_verb_classes.csv", "id,key,instances", "0,take,['take']")])


def write_json(folder, name, annotations, *, version=None, **entry):
    entry = {"subset": "training", "duration": 10.0, "annotations": annotations} | entry
    path = folder / name
    path.write_text(json.dumps({"version": version, "database": {"P01_01": entry}}))
    return path


def labelled(label, label_id=None, segment=(1.0, 2.0), **more):
    return {"label": label, "segment": list(segment)} | ({} if label_id is None else {"label_id": label_id}) | more


def found(annotations, video="P01_01"):
    return [(segment.start, segment.labels) for segment in annotations.videos[video].segments]


def test_one_file_has_one_vocabulary(tmp_path):
    annotations, report = run([write_json(tmp_path, "epic_kitchens_100_noun.json", [labelled("spoon", 1)])])
    assert list(annotations.vocabularies) == ["noun"]
    assert (found(annotations), report.items) == ([(1.0, {"noun": "spoon"})], [])
    path = write_json(tmp_path, "x.json", [labelled("id_003", label_name="open")], version="epic-kitchens-100-verb")
    annotations, _ = run([path])
    assert found(annotations) == [(1.0, {"verb": "open"})]
    assert annotations.videos["P01_01"].segments[0].attributes == {"verb_label_name": "open"}


def test_verbs_and_nouns_are_joined_in_order(tmp_path):
    verbs = [labelled("take", 0), labelled("put", 1), labelled("wash", 2, (3, 4)), labelled("cut", 7, (5.0, 6.0))]
    nouns = [labelled("tap", 0), labelled("spoon", 1), labelled("cup", 13, (3.0, 4.0)), labelled("pan", 5, (7.0, 8.0))]
    sources = [write_json(tmp_path, "noun.json", nouns), write_json(tmp_path, "verb.json", verbs)]
    annotations, report = run(sources)
    assert found(annotations) == [
        (1.0, {"verb": "put", "noun": "spoon"}),
        (1.0, {"verb": "take", "noun": "tap"}),
        (3.0, {"verb": "wash", "noun": "cup"}),
        (5.0, {"verb": "cut"}),
        (7.0, {"noun": "pan"}),
    ]
    assert items(report) == [
        ("flagged", "segment", "annotations.3: no noun has the times of this verb"),
        ("flagged", "segment", "annotations.3: no verb has the times of this noun"),
    ]
    assert report.segments_read == 5


def test_verbs_and_nouns_of_one_file(tmp_path):
    both = {"segment": [1, 2], "verb_label": "id_002", "noun_label": "id_001", "verb_label_name": "rinse"}
    path = write_json(tmp_path, "epic_kitchens_full.json", [both], subset="val")
    path.write_text(
        path.read_text().replace('"database": {', '"database": {"P09_01": {"subset": "test", "duration": 3}, ')
    )
    annotations, report = run([path])
    assert found(annotations) == [(1.0, {"verb": "wash", "noun": "spoon"})]
    assert annotations.videos["P01_01"].split == "validation"
    assert annotations.videos["P01_01"].segments[0].attributes == {"verb_label_name": "rinse"}
    assert (annotations.videos["P09_01"].split, annotations.videos["P09_01"].segments) == ("test", None)
    assert report.items == []


LABELS_OF_JSON = {
    "id counts": (labelled("put", 2), "wash", "annotations.0.label: 'put' is not the class 'wash' of its label_id"),
    "word of the class": (labelled("rinse", 2), "wash", None),
    "only a name": (labelled("wash"), "wash", None),
    "id of no class": (labelled("id_097"), None, "annotations.0.label: not in the vocabulary 'verb', found 'id_097'"),
    "id beyond": (labelled("verb", 97), None, "annotations.0.label: not in the vocabulary 'verb', found 'verb'"),
    "negative id": (labelled("x", -1), None, "annotations.0.label: not in the vocabulary 'verb', found 'x'"),
}


@pytest.mark.parametrize(("annotation", "label", "reason"), LABELS_OF_JSON.values(), ids=LABELS_OF_JSON)
def test_labels_of_json(tmp_path, annotation, label, reason):
    annotations, report = run([write_json(tmp_path, "verb.json", [annotation])])
    assert found(annotations) == ([(1.0, {"verb": label})] if label else [])
    reasons = [item.reason for item in report.items if item.kind == "segment"]
    assert len(reasons) == (reason is not None)
    assert reason is None or reasons[0].startswith(reason)


DAMAGED_JSON = {
    "no label": ("verb.json", [{"segment": [1, 2]}], r"annotations\.0\.label: must be the name of a class, found None"),
    "no times": ("verb.json", [labelled("take", 0, segment=())], r"segment: must be \[start, end\], found \[\]"),
    "no table": ("verb.json", ["take"], r"annotations\.0: must be a table, found 'take'"),
    "no list": ("verb.json", {"a": 1}, r"annotations: must be a list, found \{'a': 1\}"),
    "half of a pair": ("x.json", [{"segment": [1, 2], "verb_label": "id_000"}], r"labels: must be the name of a class"),
    "which vocabulary": ("x.json", [labelled("id_000")], r"x\.json: neither its name nor its version states"),
}


@pytest.mark.parametrize(("name", "annotations", "message"), DAMAGED_JSON.values(), ids=DAMAGED_JSON)
def test_damaged_json(tmp_path, name, annotations, message):
    with pytest.raises(AnnotationError, match=message):
        run([write_json(tmp_path, name, annotations)])


def test_damaged_pairs_are_refused_too(tmp_path):
    sources = [
        write_json(tmp_path, "verb.json", [labelled(None)]),
        write_json(tmp_path, "noun.json", [labelled("tap")]),
    ]
    with pytest.raises(AnnotationError, match=r"verb\.json: video 'P01_01': annotations\.0\.label: must be the name"):
        run(sources)
    sources[1] = write_json(tmp_path, "noun.json", [labelled("tap")], duration=11.0)
    sources[0] = write_json(tmp_path, "verb.json", [labelled("take")])
    with pytest.raises(AnnotationError, match=r"duration: 11\.0 contradicts 10\.0"):
        run(sources)
