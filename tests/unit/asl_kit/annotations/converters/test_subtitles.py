import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.subtitles import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, AslKitError

RAW = GOLDEN / "subtitles" / "raw"


def run(tmp_path, name, text, *, table=None):
    sources = [tmp_path / name]
    sources[0].write_bytes(text if isinstance(text, bytes) else text.encode())
    if table is not None:
        sources.append(tmp_path / "facts.csv")
        sources[1].write_text(table)
    report = ConversionReport("subtitles")
    annotations = convert(sources, manifest=None, report=report)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


CUES = {
    "WebVTT": ("a.vtt", "WEBVTT\n\n00:01.500 --> 00:02.000\nrun\n", [(1.5, 2.0, "run")]),
    "a cue below the first line": ("a.vtt", "WEBVTT\n00:01.000 --> 00:02.000\nrun\n", [(1.0, 2.0, "run")]),
    "an identifier NOTE": ("a.vtt", "WEBVTT\n\nNOTE\n00:01.000 --> 00:02.000\nrun\n", [(1.0, 2.0, "run")]),
    "tags": ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<c.x>a</c> <00:01.500>x < y\n", [(1.0, 2.0, "a x < y")]),
    "a cue without a blank line before it": (
        "a.vtt",
        "WEBVTT\n\n00:01.000 --> 00:02.000\nrun\n00:02.000 --> 00:03.000\nwalk\n",
        [(1.0, 2.0, "run"), (2.0, 3.0, "walk")],
    ),
    "SubRip": ("a.srt", "1\n00:00:01,500 --> 01:00:02,000\n{\\an8}<i>run</i>\n", [(1.5, 3602.0, "run")]),
    "SubRip without numbers": ("a.srt", "00:00:01,500 --> 00:00:02,000\nrun\nfast", [(1.5, 2.0, "run fast")]),
    "a line feed in FFmpeg's metadata": (
        "a.txt",
        ";FFMETADATA1\ntitle=x\\\ny\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=cut\\\nbread \\#1\n",
        [(0.0, 1.5, "cut bread #1")],
    ),
    "FFmpeg reads no more of a line than the section": (
        "a.txt",
        ";FFMETADATA1\n[STREAM]\ntitle=x\n[CHAPTER]TIMEBASE=1/1000\nSTART=0\nEND=1500000000\ntitle=cut\n",
        [(0.0, 1.5, "cut")],
    ),
    "chapters": ("a.txt", "0:00 run\n(0:01:30) – walk\n", [(0.0, 90.0, "run"), (90.0, 99.0, "walk")]),
}


@pytest.mark.parametrize(("name", "text", "expected"), CUES.values(), ids=CUES)
def test_cues_and_chapters_are_segments(tmp_path, name, text, expected):
    table = "video,duration\na,99\n" if name == "a.txt" else None
    annotations, _ = run(tmp_path, name, text, table=table)
    assert [(s.start, s.end, s.labels["action"]) for s in annotations.videos["a"].segments] == expected


FAULTS = {
    "no header": ("a.vtt", "00:01.000 --> 00:02.000\nrun\n", "a.vtt:1: not a WebVTT file"),
    "no times": ("a.vtt", "WEBVTT\n\nrun\nwalk\n", "a.vtt:3: expected a cue with times"),
    "61 seconds": ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:61.000\nrun\n", "a.vtt:3: expected times such as"),
    "no blank line": (
        "a.srt",
        "00:00:01,000 --> 00:00:02,000\nrun\n00:00:03,000 --> 00:00:04,000\nwalk\n",
        "a.srt:3: times in",
    ),
    "a number that is no text": (
        "a.vtt",
        "WEBVTT\n\n1\n00:01.000 --> 00:02.000\nrun\n2\n00:02.000 --> 00:03.000\nwalk\n",
        "a.vtt:7: times in",
    ),
    "back": ("a.srt", "1\n00:00:02,000 --> 00:00:01,000\nrun\n", "a.srt:2: video 'a': end: must be after the start"),
    "no cues": ("a.srt", "\n", "neither cues nor chapters"),
    "no chapters": ("a.txt", "hello\n", "a.txt:1: expected a line such as '1:05 pour water', found 'hello'"),
    "the last chapter": ("a.txt", "0:00 run\n", "a.txt:1: video 'a': the last chapter ends with its video; give it in"),
    "chapter twice": ("a.txt", "CHAPTER01=00:00:01\nCHAPTER01=00:00:02\n", "a.txt:2: chapter 01 is there twice"),
    "name alone": ("a.txt", "CHAPTER01NAME=run\n", "chapter 01 has a name, but no time"),
    "another section": ("a.txt", ";FFMETADATA1\n[CHAPTERS]\nSTART=1\n", r"a.txt:2: expected a section \[CHAPTER\] or"),
    "no time base": ("a.txt", ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/0\nSTART=1\n", "a.txt:2: expected TIMEBASE=1/1000"),
}


@pytest.mark.parametrize(("name", "text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, name, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, name, text)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["kitchen.mp4.vtt", "garden.srt", "sink.txt", "oven.txt", "floor.txt"]))
def test_damaged_file_is_one_message(tmp_path, data, name):
    try:
        run(tmp_path, name, data.draw(damage((RAW / name).read_bytes())), table="video,duration\nsink,180\nfloor,9\n")
    except AslKitError:
        return
