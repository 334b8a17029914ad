"""EGTEA Gaze+: a table of actions in milliseconds."""

import pytest

from asl_kit.annotations.converters.egtea import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError

HEADER = "Block ID; Clip Prefix; Action; Verb; Noun ; Start Time (ms); End Time (ms); StartFrame ; EndFrame\n"


def run(tmp_path, rows, *others, header=HEADER):
    path = tmp_path / "action_labels.csv"
    path.write_text(header + rows)
    report = ConversionReport("egtea")
    annotations = convert([path, *others], manifest=None, report=report)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def test_rows_of_sessions_and_of_clips(tmp_path):
    rows = "1;OP01-R01-PastaSalad;Open Fridge;Open;fridge;1002580;1004110;F024030;F024067\n"
    rows += "2;OP01-R01-PastaSalad-1005000-1006500-F024100-F024136;Read Recipe;Read;;1005000;1006500;F024100;F024136\n"
    durations = tmp_path / "durations.csv"
    durations.write_text("video,duration,fps\nOP01-R01-PastaSalad,17:00,24\n")
    annotations, _ = run(tmp_path, rows, durations)
    assert list(annotations.videos) == ["OP01-R01-PastaSalad"]
    video = annotations.videos["OP01-R01-PastaSalad"]
    assert (video.duration, video.fps) == (1020.0, 24.0)
    assert [(segment.start, segment.end, segment.labels) for segment in video.segments] == [
        (1002.58, 1004.11, {"action": "Open Fridge", "verb": "Open", "noun": "fridge"}),
        (1005.0, 1006.5, {"action": "Read Recipe", "verb": "Read"}),
    ]


def test_a_time_that_is_no_number_is_dropped(tmp_path):
    rows = "1;a;x;x;x;10;20;F1;F2\n1;a;x;x;x;soon;20;F1;F2\n"
    _, report = run(tmp_path, rows)
    assert [item.reason for item in report.items] == ["start: must be a finite number, found 'soon'"]


def clip(video, start):
    return f"{video}-{start}-{start + 9}-F1-F2 1 1 1\n"


def test_the_split_of_a_video_is_that_of_most_of_its_clips(tmp_path):
    train, test = tmp_path / "train_split2.txt", tmp_path / "test_split2.txt"
    train.write_text(clip("a", 10) + clip("a", 20) + clip("b", 10))
    test.write_text(clip("b", 20) + clip("b", 30))
    rows = "".join(f"1;{video};x;x;x;10;20;F1;F2\n" for video in "abc")
    annotations, report = run(tmp_path, rows, train, test)
    assert {name: video.split for name, video in annotations.videos.items()} == {
        "a": "train", "b": "test", "c": "train",
    }  # fmt: skip
    note = "1 clips are listed in another split than most clips of their video, whose split is theirs"
    assert note in report.notes


LISTS = {
    "two divisions": ({"train_split1.txt": "", "test_split2.txt": ""}, "of one division into splits"),
    "another list": ({"my_split1.txt": ""}, "of one division into splits"),
    "no clips": (
        {"train_split1.txt": "a 1 1 1"},
        r"train_split1\.txt:1: expected a clip and the numbers of its classes",
    ),
}


@pytest.mark.parametrize(("lists", "error"), LISTS.values(), ids=LISTS)
def test_faulty_lists_of_splits(tmp_path, lists, error):
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(AnnotationError, match=error):
        run(tmp_path, "1;a;x;x;x;10;20;F1;F2\n", *(tmp_path / name for name in lists))


FAULTS = {
    "no action": ("1;a;;;;10;20;F1;F2\n", HEADER, r"action_labels\.csv:2: expected a clip and an action"),
    "other columns": ("1;a\n", "Block ID;Clip Prefix\n", "column 'Action' is missing"),
    "other table": ("a,1\n", "video,duration\n", "expected a table with a column 'Clip Prefix'"),
}


@pytest.mark.parametrize(("rows", "header", "error"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path, rows, header, error):
    with pytest.raises(AnnotationError, match=error):
        run(tmp_path, rows, header=header)
