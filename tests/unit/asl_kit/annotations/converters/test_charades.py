"""Charades: the official tables, and JSON files that others made of them."""

import json

import pytest

from asl_kit.annotations.converters import charades
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifests.files import load_manifest

HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"


def run(*sources, manifest="charades"):
    report = ConversionReport("charades")
    facts = load_manifest(manifest) if manifest else None
    annotations = charades.convert(sources, manifest=facts, report=report)
    report.compare(annotations, facts)
    assert not any("read, but" in line for line in report.differences)
    return annotations, report


def row(video, actions, length="20.00", script='"One laughs, then eats."'):
    return f"{video},S01X,Kitchen,6,7,Yes,{script},food,One laughs.,{actions},{length}"


def write(folder, *rows, split="train", header=HEADER, end="\r\n"):
    path = folder / f"Charades_v1_{split}.csv"
    path.write_bytes((end.join([header, *rows]) + end).encode())
    return path


def segments(video):
    return [(item.start, item.end, item.labels["action"]) for item in video.segments]


def test_tables_of_a_folder(tmp_path):
    write(tmp_path, row("A", "c156 1.50 3.00;c000 0.00 20.00"), row("B", ""))
    write(tmp_path, row("C", "c008 0.00 3.10"), split="test")
    (tmp_path / "README.txt").write_text("nothing to convert")
    (tmp_path / "Charades_v1_mapping.txt").write_text("c000 o009 v008\n")
    annotations, report = run(tmp_path)
    assert segments(annotations.videos["A"]) == [
        (0.0, 20.0, "Holding some clothes"),
        (1.5, 3.0, "Someone is eating something"),
    ]
    assert annotations.videos["A"].attributes == {"subject": "S01X", "scene": "Kitchen"}
    assert annotations.videos["A"].duration == 20.0
    assert annotations.videos["B"].segments == []
    assert (annotations.videos["B"].split, annotations.videos["C"].split) == ("train", "test")
    assert (report.items, report.videos_read, report.segments_read) == ([], 3, 3)


MENDED = {
    "ends before it starts": ("c001 9.00 4.00", "dropped", "end: must be after the start (9.0), found 4.0"),
    "no length": ("c001 4.00 4.00", "dropped", "end: must be after the start (4.0), found 4.0"),
    "ends after the video": ("c001 4.00 21.00", "changed", "[4.0, 21.0) clipped to [4.0, 20.0)"),
    "starts after the video": (
        "c001 21.00 22.00",
        "dropped",
        "end: must be within the video's duration (20.0), found 22.0",
    ),
    "no class": ("c157 1.00 2.00", "dropped", "label: not in the vocabulary 'action', found 'c157'"),
    "not a number": ("c001 x 2.00", "dropped", "start: must be a finite number, found 'x'"),
    "nan": ("c001 1.0 nan", "dropped", "end: must be a finite number, found nan"),
    "huge": ("c001 1e400 2", "dropped", "start: must be a finite number, found inf"),
}


@pytest.mark.parametrize(("action", "outcome", "reason"), MENDED.values(), ids=MENDED)
def test_faulty_action_is_reported(tmp_path, action, outcome, reason):
    annotations, report = run(write(tmp_path, row("A", f"c000 0.00 1.00;{action}")))
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [(outcome, "segment", "A")]
    assert report.items[0].where.endswith("Charades_v1_train.csv:2")
    assert report.items[0].reason.startswith("actions.1")
    assert reason in report.items[0].reason
    assert len(annotations.videos["A"].segments) == 1 + (outcome == "changed")


def test_actions_of_other_shape_are_refused_at_once(tmp_path):
    path = write(tmp_path, row("A", "c000 0.00;c001 1 2 3"), row("B", "c000"), row("", "c000 0.00 1.00"))
    with pytest.raises(AnnotationError, match="4 errors") as caught:
        run(path)
    for text in (
        "train.csv:2: video 'A': actions.0: expected `class start end`, found 'c000 0.00'",
        "train.csv:2: video 'A': actions.1: expected `class start end`, found 'c001 1 2 3'",
        "train.csv:3: video 'B': actions.0: expected `class start end`, found 'c000'",
        "train.csv:4: id: must be the name of a video",
    ):
        assert text in caught.value.message


@pytest.mark.parametrize("length", ["", "0", "-3", "long", "nan", "inf"])
def test_length_that_is_none(tmp_path, length):
    with pytest.raises(AnnotationError, match=r"train\.csv:2: video 'A': length: must be a number above 0, found"):
        run(write(tmp_path, row("A", "c000 0.00 1.00", length)))


def test_video_with_two_rows(tmp_path):
    train, test = write(tmp_path, row("A", "c000 0 1")), write(tmp_path, row("A", "c000 0 1"), split="test")
    with pytest.raises(AnnotationError, match=r"Charades_v1_test\.csv:2: video 'A': id: the video has a row already"):
        run(train, test)


REFUSED = {
    "empty": (b"", "empty; expected a first line id,actions,length"),
    "header only": (HEADER.encode(), "no rows below the first line"),
    "other columns": (b"video,start,end\na,1,2\n", "column 'id' is missing"),
    "short row": (f"{HEADER}\nA,S\n".encode(), r":2: 2 cells, expected 11"),
    "open quote": (f'{HEADER}\nA,"S\n'.encode(), "not a CSV file"),
    "binary": (bytes(range(256)), "not UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_damaged_table(tmp_path, content, message):
    path = tmp_path / "Charades_v1_train.csv"
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=message) as caught:
        run(path)
    assert "Charades_v1_train.csv" in caught.value.message


def test_wrong_sources(tmp_path):
    with pytest.raises(AnnotationError, match=r"no file named Charades_v1_train\.csv, .* in this folder"):
        run(tmp_path)
    with pytest.raises(MissingFileError, match="no such file"):
        run(tmp_path / "Charades_v1_train.csv")
    (tmp_path / "own.csv").write_text(HEADER)
    with pytest.raises(AnnotationError, match=r"own\.csv: expected Charades_v1_train\.csv"):
        run(tmp_path / "own.csv")
    (tmp_path / "Charades_v1_classes.txt").write_text("c000 Holding some clothes\n")
    with pytest.raises(AnnotationError, match=r"no video in Charades_v1_classes\.txt"):
        run(tmp_path / "Charades_v1_classes.txt")


def test_list_of_classes_is_held_against_the_manifest(tmp_path):
    write(tmp_path, row("A", "c000 0 1"))
    names = load_manifest("charades").classes
    lines = [f"c{number:03} {name}" for number, name in enumerate(names)]
    (tmp_path / "Charades_v1_classes.txt").write_text("\r\n".join(lines))
    assert not any("differ" in note for note in run(tmp_path)[1].notes)
    lines[3] = "c003 Throwing shoes somewhere"
    (tmp_path / "Charades_v1_classes.txt").write_text("\n".join(lines[:-1]))
    assert run(tmp_path)[1].notes[0] == (
        "Charades_v1_classes.txt: 2 classes differ from the manifest's names, which are used: "
        "c003 is 'Throwing shoes somewhere', 'Throwing clothes somewhere' in the manifest"
    )


def test_without_a_manifest_the_list_names_the_classes(tmp_path):
    write(tmp_path, row("A", "c000 0 1;c001 1 2"))
    (tmp_path / "Charades_v1_classes.txt").write_text("c000 Sitting still\n")
    assert run(tmp_path, manifest=None)[0].classes() == ["Sitting still", "c001"]


def test_class_numbers_in_json_count_from_0(tmp_path):
    path = tmp_path / "charades.json"
    path.write_text(
        json.dumps({"A": {"subset": "training", "duration": 20.0, "actions": [[0, 1.0, 2.0], [156, 3, 21]]}})
    )
    annotations, report = run(path)
    assert segments(annotations.videos["A"]) == [
        (1.0, 2.0, "Holding some clothes"),
        (3.0, 20.0, "Someone is eating something"),
    ]
    assert annotations.videos["A"].split == "train"
    assert [item.outcome for item in report.items] == ["changed"]


def test_json_of_opentad(tmp_path):
    path = tmp_path / "charades.json"
    entry = {"duration": 20.0, "frame": 600, "annotations": [{"segment": [1.0, 2.0], "label": "Opening a door"}]}
    path.write_text(json.dumps({"database": {"A": entry | {"subset": "training"}, "B": entry | {"subset": "testing"}}}))
    videos = run(path)[0].videos
    assert [(videos[name].split, videos[name].frames) for name in "AB"] == [("train", 600), ("test", 600)]


def test_facts_of_the_manifest():
    manifest = load_manifest("charades")
    assert (len(manifest.classes), manifest.classes[8], manifest.classes[92]) == (
        157,
        "Opening a door",
        "Watching/Looking outside of a window",
    )
    assert manifest.tiou_thresholds == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert [(count.videos, count.segments) for count in manifest.expected.values()] == [(7985, 49809), (1863, 16691)]
