import pytest

from asl_kit.annotations import Segment
from asl_kit.annotations.converters.csv_table import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, MissingFileError

HEADER = "video,start,end,label,split,duration,fps,path\n"


def run(tmp_path, text, name="own.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    report = ConversionReport("csv")
    return convert([path], manifest=None, report=report), report


def test_facts_of_a_video_may_stand_in_any_of_its_rows(tmp_path):
    annotations, report = run(tmp_path, HEADER + "a,1,2,run,,,,\na,3,4.5,jump,val,10,25,x/a.mp4\nb,,,,val,5,,\n")
    a, b = annotations.videos["a"], annotations.videos["b"]
    assert annotations.dataset == "own"
    assert annotations.vocabularies == {"action": ["jump", "run"]}
    assert (a.split, a.duration, a.fps, a.path) == ("val", 10.0, 25.0, "x/a.mp4")
    assert a.segments == [
        Segment(start=1.0, end=2.0, labels={"action": "run"}),
        Segment(start=3.0, end=4.5, labels={"action": "jump"}),
    ]
    assert (b.segments, b.fps) == ([], None)
    assert (report.videos_read, report.segments_read, report.items, report.notes) == (2, 2, [], [])


def test_absent_split_and_duration_are_noted(tmp_path):
    annotations, report = run(tmp_path, "label,video,end,start\nrun,a,2.5,1\nrun,a,2,0\n")
    assert (annotations.videos["a"].split, annotations.videos["a"].duration) == ("train", 2.5)
    assert any("duration of 1 videos is not stated" in note for note in report.notes)
    assert any("taken as 'train'" in note for note in annotations.source.notes)


def test_quotes_spaces_blank_lines_byte_order_mark_and_windows_ends(tmp_path):
    annotations, _ = run(tmp_path, b'\xef\xbb\xbfvideo, start,end,label\r\n\r\na, 1 ,2,"run, fast"\r\n,,,\r\n')
    assert annotations.vocabularies["action"] == ["run, fast"]


FAULTS = {
    "empty": ("", r"own\.csv: empty; expected a first line video,start,end,label\[,split,duration,fps,path\]"),
    "header only": (HEADER, r"own\.csv: no rows below the first line"),
    "missing column": ("video,start,end\na,1,2\n", r"own\.csv:1: column 'label' is missing"),
    "unknown column": ("video,start,end,lable,label\n", r"unknown column 'lable' \(did you mean 'label'\?\)"),
    "column twice": ("video,start,end,label,label\n", r"column 'label' appears twice"),
    "semicolons": ("video;start;end;label\na;1;2;x\n", r"column 'video' is missing"),
    "not UTF-8": (b"video,start,end,label\na,1,2,\xe9\n", r"own\.csv: not UTF-8 text"),
    "cells missing": ("video,start,end,label\na,1,2\n", r"own\.csv:2: 3 cells, expected 4"),
    "open quote": ('video,start,end,label\na,1,2,"run\n', r"own\.csv:\d: not a CSV file"),
    "no video": ("video,start,end,label\n,1,2,run\n", r"own\.csv:2: video: must be the name of a video"),
    "no number": (
        "video,start,end,label\na,1,two,run\n",
        r"own\.csv:2: video 'a': end: must be a finite number, found 'two'",
    ),
    "NaN": (
        "video,start,end,label\na,nan,2,run\n",
        r"own\.csv:2: video 'a': start: must be a finite number, found nan",
    ),
    "end before start": (
        "video,start,end,label\na,1,2,x\na,5,4,x\n",
        r"own\.csv:3: video 'a': end: must be after the start \(5\.0\), found 4\.0",
    ),
    "start below 0": (
        "video,start,end,label\na,-1,4,x\n",
        r"own\.csv:2: video 'a': start: must be 0 or more, found -1\.0",
    ),
    "only faulty": ("video,start,end,label\na,-2,-1,x\n", r"own\.csv:2: video 'a': start: must be 0 or more"),
    "beyond the duration": (
        HEADER + "a,1,12,x,s,10,,\n",
        r"own\.csv:2: video 'a': end: must be within the video's duration \(10\.0\), found 12\.0",
    ),
    "label empty": ("video,start,end,label\na,1,2,\n", r"own\.csv:2: video 'a': label: empty, but start, end is given"),
    "duration wrong": (
        HEADER + "a,1,2,x,s,-3,,\n",
        r"own\.csv:2: video 'a': duration: must be a number above 0, found '-3'",
    ),
    "split contradicts": (
        HEADER + "a,1,2,x,s,,,\na,3,4,x,t,,,\n",
        r"own\.csv:3: video 'a': split: 't' contradicts 's' \(.*own\.csv:2\)",
    ),
    "no action, and one": (
        "video,start,end,label\na,,,\na,1,2,x\n",
        r"own\.csv:2: video 'a': said to have no action, but .*own\.csv:3",
    ),
    "nothing tells the duration": ("video,start,end,label\na,,,\n", r"own\.csv:2: video 'a': duration: not stated"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text)


def test_all_faults_at_once(tmp_path):
    with pytest.raises(AnnotationError, match="3 faults") as caught:
        run(tmp_path, "video,start,end,label\na,3,2,x\nb,1,x,x\nc,-1,2,x\nd,1,2,x\n")
    assert [f":{line}: " in caught.value.message for line in (2, 3, 4, 5)] == [True, True, True, False]


def test_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        convert([tmp_path / "none.csv"], manifest=None, report=ConversionReport("csv"))


def test_segment_at_the_end_within_the_tolerance_is_kept_as_it_is(tmp_path):
    annotations, _ = run(tmp_path, HEADER + "a,1,10.1,x,s,10,,\n")
    assert annotations.videos["a"].segments[0].end == 10.1
    with pytest.raises(AnnotationError):
        run(tmp_path, HEADER + "a,1,10.11,x,s,10,,\n")
