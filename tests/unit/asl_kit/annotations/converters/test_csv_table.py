import pytest

from asl_kit.annotations import Segment
from asl_kit.annotations.converters.csv_table import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tables import TIME_HINT
from asl_kit.annotations.time_units import MILLISECONDS_HINT
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


SPREADSHEETS = {
    "semicolons and decimal commas": "video;start;end;label;duration\na;1,5;75,25;run;100,5\n",
    "tabs": "video\tstart\tend\tlabel\tduration\na\t1.5\t75.25\trun\t100.5\n",
    "UTF-16 of Excel": b"\xff\xfe"
    + "video\tstart\tend\tlabel\tduration\r\na\t1,5\t75,25\trun\t100,5\r\n".encode("utf-16-le"),
    "big-endian UTF-16": b"\xfe\xff" + "video,start,end,label,duration\na,1.5,75.25,run,100.5\n".encode("utf-16-be"),
    "other capitals": "Video, Start ,END,Label,Duration\na,1.5,75.25,run,100.5\n",
    "synonyms": "Filename;Start Time;t-end;Class;duration\na;1.5;75.25;run;100.5\n",
    "clock times": "video,start,end,label,duration\na,0:01.5,1:15.25,run,0:01:40.5\n",
    "clock times with commas": "video;start;end;label;duration\na;0:01,5;0:01:15,250;run;01:40,5\n",
    "minutes above 59": "video,start,end,label,duration\na,1.5,1:15.25,run,1:40.50\n",
    "empty columns at the end": "video;start;end;label;duration;;\na;1.5;75.25;run;100.5;;\n;;;;;;\n",
    "old line ends": "video,start,end,label,duration\ra,1.5,75.25,run,100.5\r",
    "separator in a quoted name": '"video","start","end","label","duration","a;b;c;d;e;f;g"\na,1.5,75.25,run,100.5,\n',
}


@pytest.mark.parametrize("text", SPREADSHEETS.values(), ids=SPREADSHEETS)
def test_what_spreadsheets_write(tmp_path, text):
    annotations, _ = run(tmp_path, text)
    assert list(annotations.videos) == ["a"]
    assert annotations.videos["a"].duration == 100.5
    assert annotations.videos["a"].segments == [Segment(start=1.5, end=75.25, labels={"action": "run"})]


def test_hours_of_clock_times(tmp_path):
    annotations, _ = run(tmp_path, "video,start,end,label\na,59:59.5,1:00:00.25,run\nb,90:00,1:30:01,run\n")
    times = [(video.segments[0].start, video.segments[0].end) for video in annotations.videos.values()]
    assert times == [(3599.5, 3600.25), (5400.0, 5401.0)]


def test_synonyms_are_reported_and_give_way_to_the_name_itself(tmp_path):
    annotations, report = run(tmp_path, "video_id,start,end,label,action\na,1,2,run,fast\n")
    assert report.notes[0] == "own.csv: column 'video_id' as 'video'"
    assert annotations.videos["a"].segments == [
        Segment(start=1.0, end=2.0, labels={"action": "run"}, attributes={"action": "fast"})
    ]


def test_further_columns_are_attributes_of_the_segment(tmp_path):
    rows = "video,start,end,label,Annotator,start_frame\na,1,2,run,Ann,25\na,3,4,run,,75\n"
    annotations, report = run(tmp_path, rows)
    assert [segment.attributes for segment in annotations.videos["a"].segments] == [
        {"Annotator": "Ann", "start_frame": "25"},
        {"start_frame": "75"},
    ]
    assert report.items == []


def test_further_cells_of_a_row_without_segment_are_noted(tmp_path):
    annotations, report = run(tmp_path, "video,start,end,label,duration,annotator\na,,,,9,Ann\nb,,,,9,\n")
    assert annotations.videos["a"].segments == []
    assert report.notes[0] == "own.csv: 1 rows of videos without action have further cells, which are not kept"


def test_several_vocabularies(tmp_path):
    rows = "video,start,end,label:verb,Label:Noun,class\na,1,2,cut,bread,x\na,3,4,stir,,\nb,,,,,\na,5,6,,milk,\n"
    annotations, report = run(tmp_path, rows.replace("b,,,,,", "a,5,7,cut,bread,"))
    assert annotations.vocabularies == {"Noun": ["bread", "milk"], "verb": ["cut", "stir"]}
    assert [segment.labels for segment in annotations.videos["a"].segments] == [
        {"verb": "cut", "Noun": "bread"},
        {"verb": "stir"},
        {"Noun": "milk"},
        {"verb": "cut", "Noun": "bread"},
    ]
    assert annotations.videos["a"].segments[0].attributes == {"class": "x"}
    assert not any("as 'label'" in note for note in report.notes)


VIDEO_NAMES = {
    "a.mp4": ("a", "a.mp4"),
    "kitchen/a.MOV": ("a", "kitchen/a.MOV"),
    r"kitchen\a.webm": ("a", "kitchen/a.webm"),
    "take 1.5": ("take 1.5", None),
    "P01/P01_01": ("P01/P01_01", None),
}


@pytest.mark.parametrize(("cell", "expected"), VIDEO_NAMES.items(), ids=VIDEO_NAMES)
def test_video_named_by_its_file(tmp_path, cell, expected):
    annotations, _ = run(tmp_path, f"video,start,end,label\n{cell},1,2,run\n")
    assert [(video_id, video.path) for video_id, video in annotations.videos.items()] == [expected]


def test_column_path_goes_before_the_name_of_the_file(tmp_path):
    annotations, _ = run(tmp_path, "video,start,end,label,path\na.mp4,1,2,run,x/a.mp4\na.mp4,3,4,run,\n")
    assert annotations.videos["a"].path == "x/a.mp4"


def test_numbers_of_frames_are_not_taken_for_seconds(tmp_path):
    with pytest.raises(AnnotationError, match="column 'start' is missing") as caught:
        run(tmp_path, "video,start_frame,end_frame,label\na,1,2,run\n")
    assert caught.value.hint == "Times are in seconds: divide frame numbers by the frame rate."


@pytest.mark.parametrize("names", ["start_ms,end_ms", "Start (ms),End (ms)", "begin time - msec,end time - msec"])
def test_milliseconds_by_name(tmp_path, names):
    with pytest.raises(AnnotationError, match="column 'start' is missing") as caught:
        run(tmp_path, f"video,{names},label\na,1000,2500,cut\n")
    assert caught.value.hint == MILLISECONDS_HINT


SIZES = {
    "milliseconds": ("a,1000,2500,cut,60,\na,40000,59000,cut,60,\nb,1000,2000,cut,5,\n", MILLISECONDS_HINT),
    "frame numbers": ("a,25,1450,cut,60,25\n", "divide frame numbers by the frame rate, or milliseconds by 1000."),
    "neither": ("a,25,61.5,cut,60,25\n", None),
}


@pytest.mark.parametrize(("rows", "hint"), SIZES.values(), ids=SIZES)
def test_other_units_by_size(tmp_path, rows, hint):
    with pytest.raises(AnnotationError, match="must be within the video's duration") as caught:
        run(tmp_path, f"video,start,end,label,duration,fps\n{rows}")
    assert (caught.value.hint or "").endswith(hint or "")
    assert bool(caught.value.hint) == bool(hint)


DOUBTS = {
    "milliseconds": ("a,1000,2500,cut,,", "a typical segment lasts 1500: are they milliseconds?"),
    "frames": ("a,10,20,cut,,25", "beside a frame rate: are they frame numbers?"),
    "doubled": (
        "a,1.5,2,cut,9,\na,1.5,2,cut,,",
        "1 segments repeat the times and the label of another one: a [1.5, 2) 'cut'",
    ),
    "whole seconds": ("a,1,2,cut,,", None),
    "frames within a stated duration": ("a,1,2,cut,9,25", None),
}


@pytest.mark.parametrize(("rows", "note"), DOUBTS.values(), ids=DOUBTS)
def test_doubts_are_noted(tmp_path, rows, note):
    annotations, report = run(tmp_path, f"video,start,end,label,duration,fps\n{rows}\n")
    doubts = [text for text in report.notes if "is not stated" not in text and "are not stated" not in text]
    assert len(annotations.videos["a"].segments) == rows.count("cut")
    assert len(doubts) == bool(note)
    assert (note or "") in "".join(doubts)


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "NULL", "<NA>", "N/A"])
def test_words_for_no_value_are_no_class(tmp_path, word):
    with pytest.raises(AnnotationError, match=rf"own\.csv:3: video 'a': label: empty \({word} counts as empty\)"):
        run(tmp_path, f"video,start,end,label\na,1,2,cut\na,3,4,{word}\n")
    annotations, _ = run(tmp_path, f"video,start,end,label,duration\na,{word},{word},{word},9\n")
    assert annotations.videos["a"].segments == []


FAULTS = {
    "empty": ("", r"own\.csv: empty; expected a first line video,start,end,label\[,split,duration,fps,path\]"),
    "header only": (HEADER, r"own\.csv: no rows below the first line"),
    "missing column": ("video,start,end\na,1,2\n", r"own\.csv:1: column 'label' is missing"),
    "misspelt": ("video,start,end,lable\na,1,2,x\n", r"unknown column 'lable' \(did you mean 'label'\?\)"),
    "optional column misspelt": (
        "video,start,end,label,durration\na,1,2,x,9\n",
        r"unknown column 'durration' \(did you mean 'duration'\?\)",
    ),
    "two synonyms": (
        "video,start,end,class,action\na,1,2,x,y\n",
        r"columns 'class' and 'action' could each be 'label': state one, as in --column label=class",
    ),
    "vocabulary without a name": ("video,start,end,label:\na,1,2,x\n", r"column 'label:' names no vocabulary"),
    "no column of labels": ("video,start,end,note\na,1,2,x\n", r"column 'label' is missing"),
    "value below no name": (
        "video,start,end,label,\na,1,2,x,y\n",
        r"own\.csv:2: 'y' is in a column without a name",
    ),
    "seconds above 59": (
        "video,start,end,label\na,1:75,2:00,run\n",
        r"own\.csv:2: video 'a': start: must be a finite number, found '1:75'",
    ),
    "minutes above 59": ("video,start,end,label\na,0,0:61:00,run\n", r"end: must be a finite number, found '0:61:00'"),
    "frames in a clock time": ("video,start,end,label\na,0,0:01:00:12,run\n", r"end: must .* found '0:01:00:12'"),
    "decimal comma among commas": ('video,start,end,label\na,"1,5",2,run\n', r"start: must .* found '1,5'"),
    "two commas": ("video;start;end;label\na;1,234,5;2;run\n", r"start: must .* found '1,234,5'"),
    "comma and point": ("video;start;end;label\na;1.234,5;2;run\n", r"start: must .* found '1\.234,5'"),
    "two files of one name": (
        "video,start,end,label\nx/a.mp4,1,2,run\ny/a.mp4,1,2,run\n",
        r"own\.csv:3: video 'a': path: 'y/a\.mp4' contradicts 'x/a\.mp4'",
    ),
    "UTF-16 cut off": (b"\xff\xfev\x00i\x00d", r"own\.csv: not UTF-16 text"),
    "column twice": ("video,start,end,label,label\n", r"column 'label' appears twice"),
    "bars": ("video|start|end|label\na|1|2|x\n", r"column 'video' is missing"),
    "not UTF-8": (
        b"video,start,end,label\na,1,2,\xe9\n",
        r"own\.csv:2: not UTF-8 text: byte 0xE9 at character 7 of the line; in cp1252, .*, it reads 'a,1,2,é'",
    ),
    "cells missing": ("video,start,end,label\na,1,2\n", r"own\.csv:2: 3 cells, expected 4"),
    "open quote": ('video,start,end,label\na,1,2,"run\n', r"own\.csv:\d: not a CSV file"),
    "no video": ("video,start,end,label\n,1,2,run\n", r"own\.csv:2: video: must be the name of a video"),
    "no number": (
        "video,start,end,label\na,1,two,run\n",
        r"own\.csv:2: video 'a': end: must be a finite number, found 'two'",
    ),
    "NaN": (
        "video,start,end,label\na,nan,2,run\n",
        r"own\.csv:2: video 'a': start: empty \(nan counts as empty\), but end, label is given",
    ),
    "infinite": (
        "video,start,end,label\na,1,inf,run\n",
        r"own\.csv:2: video 'a': end: must be a finite number, found inf",
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
        r"own\.csv:2: video 'a': stated to have no action, but .*own\.csv:3",
    ),
    "nothing tells the duration": ("video,start,end,label\na,,,\n", r"own\.csv:2: video 'a': duration: not stated"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text)


def test_a_missing_column_is_named_with_its_synonyms_and_the_columns_present(tmp_path):
    with pytest.raises(AnnotationError, match=r"own\.csv:1: ") as caught:
        run(tmp_path, "clip,start,end,label,note\na,1,2,run,x\n")
    names = "video id, video name, filename, file name, file, video file, media file name"
    assert f"column 'video' is missing (also accepted: {names}); expected video," in caught.value.message
    present = "'clip', 'start', 'end', 'label', 'note'"
    actions = "rename one, or add a column, or say which one is meant: --column video=COLUMN."
    assert caught.value.hint == f"The columns of the file are {present}: {actions}"


@pytest.mark.parametrize(
    ("row", "is_time"),
    [
        ("a;1:75;2:00;run;", False),
        ("a;1;00:00:03:12;run;", False),
        ("a;1;1.234,5;run;", False),
        ("a;1;2;run;1:75", False),
        ("a;3;2;run;", True),
        ("a;1;2;run;0", True),
    ],
    ids=["seconds above 59", "frame number", "thousands", "duration", "end before start", "no duration"],
)
def test_the_hint_says_what_a_time_looks_like(tmp_path, row, is_time):
    with pytest.raises(AnnotationError, match=r"own\.csv:2: video 'a'") as caught:
        run(tmp_path, f"video;start;end;label;duration\n{row}\n")
    assert caught.value.hint == (None if is_time else TIME_HINT)


def test_all_faults_at_once(tmp_path):
    with pytest.raises(AnnotationError, match="3 errors") as caught:
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
