"""Edit decision lists, read back by OpenTimelineIO, which others wrote."""

from __future__ import annotations

from pathlib import Path

import av
import opentimelineio as otio
import pytest
from helpers.support import write_video
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.detections.table import Detection
from asl_kit.outputs.edit_list import MAX_EVENTS, Timebase, to_edl
from asl_kit.outputs.file_start import FileStart, read_start

NTSC = {"24": 24000 / 1001, "30": 30000 / 1001, "60": 60000 / 1001}


@pytest.mark.parametrize(
    ("fps", "own_kind", "counted", "drops"),
    [
        (25.0, None, 25.0, False),
        (NTSC["24"], None, NTSC["24"], False),
        (NTSC["30"], None, NTSC["30"], True),
        (29.97, None, 29.97, True),
        (NTSC["30"], False, NTSC["30"], False),
        (59.94, None, 59.94, True),
        (30.0, True, 30.0, False),
        (29.83, None, 29.83, False),
        (60.0, None, 60.0, False),
        (120.0, None, 60.0, False),
        (240 / 1.001, None, NTSC["60"], True),
        (0.4, None, 0.4, False),
    ],
)
def test_timebase(fps: float, own_kind: bool | None, counted: float, drops: bool) -> None:
    timebase = Timebase.of_video(fps, drop_frame=own_kind)
    assert (timebase.fps, timebase.drop_frame) == (pytest.approx(counted), drops)


@pytest.mark.parametrize(
    ("fps", "frame", "timecode"),
    [
        (NTSC["30"], 1799, "00:00:59;29"),
        (NTSC["30"], 1800, "00:01:00;02"),
        (NTSC["30"], 17981, "00:09:59;29"),
        (NTSC["30"], 17982, "00:10:00;00"),
        (NTSC["30"], 107892, "01:00:00;00"),
        (NTSC["60"], 3600, "00:01:00;04"),
        (NTSC["24"], 24 * 60, "00:01:00:00"),
        (25.0, 25 * 86400 + 1, "00:00:00:01"),
        (0.4, 61, "00:01:01:00"),
    ],
)
def test_timecodes_by_hand(fps: float, frame: int, timecode: str) -> None:
    assert Timebase.of_video(fps).timecode(frame) == timecode


@given(st.sampled_from([*NTSC.values(), 24.0, 25.0, 30.0, 50.0, 60.0]), st.data())
def test_timecodes_are_those_of_opentimelineio(fps: float, data: st.DataObject) -> None:
    frame = data.draw(st.integers(0, int(86_000 * fps)))
    timebase = Timebase.of_video(fps)
    timecode = timebase.timecode(frame)
    time = otio.opentime.RationalTime(frame, fps if timebase.drop_frame else timebase.frames_a_second)
    assert timecode == otio.opentime.to_timecode(time, time.rate, timebase.drop_frame)
    assert timebase.frame(*(int(part) for part in timecode.replace(";", ":").split(":"))) == frame


def frames(fps: float, *times_s: float) -> list[int]:
    return [round(time_s * fps) for time_s in times_s]


@pytest.mark.parametrize("start", [None, "10:00:00:00"], ids=["no timecode", "own timecode"])
@pytest.mark.parametrize("fps", [25.0, NTSC["24"], NTSC["30"], 60.0])
def test_opentimelineio_reads_the_same(fps: float, start: str | None) -> None:
    shown = [
        Detection("v", 3700.0, 3700.001, "late, very short", 0.5),
        Detection("v", 61.2, 65.0, "run & <jump>\nfar", 0.912),
        Detection("v", 60.0, 63.0, "overlaps", 0.7),
    ]
    text = to_edl("my film.mp4", shown, fps=fps, start_timecode=start)
    timebase = Timebase.of_video(fps, drop_frame=None if start is None else False)
    rate = fps if timebase.drop_frame else timebase.frames_a_second
    actions = ["overlaps 0.70", "run & <jump> far 0.91", "late, very short 0.50"]
    assert [line.split(None, 4)[4] for line in text.splitlines() if line.startswith("* LOC: ")] == actions
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=rate)
    assert timeline.name == "my film.mp4"
    first = 0 if start is None else 36_000 * timebase.frames_a_second
    for track in timeline.tracks:  # picture and sound
        clips = list(track)
        assert [clip.name for clip in clips] == ["my film.mp4"] * 3
        if not timebase.drop_frame:  # the reader knows no locators with semicolons
            assert [marker.name for clip in clips for marker in clip.markers] == actions
        ranges = [(clip.source_range.start_time.value, clip.source_range.duration.value) for clip in clips]
        spans = [frames(fps, 60.0, 63.0), frames(fps, 61.2, 65.0), [round(3700 * fps), round(3700 * fps) + 1]]
        assert ranges == [(first + begin, end - begin) for begin, end in spans]
    assert len(timeline.tracks) == 2


def test_of_too_many_those_with_the_highest_scores_are_listed() -> None:
    shown = [Detection("v", number, number + 0.5, "run", 1 - number / 2000) for number in range(MAX_EVENTS + 3)]
    text = to_edl("v.mp4", shown, fps=25.0)
    assert "999  AX       B     C        00:16:38:00 00:16:38:12" in text
    assert text.endswith("* 3 EVENTS WITH LOWER SCORES ARE LEFT OUT: A LIST HOLDS 999\n")


def test_nothing_found_is_a_list_without_events() -> None:
    assert to_edl("v.mp4", [], fps=25.0) == "TITLE: v.mp4\nFCM: NON-DROP FRAME\n\n"


@pytest.mark.parametrize(
    ("tag", "expected"), [(None, None), ("09:59:58:12", "09:59:58:12"), ("nonsense", None)], ids=["none", "own", "odd"]
)
def test_the_files_own_timecode_is_read(tmp_path: Path, tag: str | None, expected: str | None) -> None:
    plain = write_video(tmp_path / "plain.mkv", frames=5)
    path = tmp_path / "v.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        if tag is not None:
            container.metadata["timecode"] = tag
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    start = read_start(path)
    assert start == FileStart(0.0, expected)
    rows = [Detection("v", 0.1, 0.3, "run", 0.9)]
    source_in = expected[:-2] + "14" if expected else "00:00:00:02"
    assert f" {source_in} " in to_edl(path.name, rows, fps=25.0, start_timecode=start.timecode)


def test_a_file_that_is_no_video_has_none(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    assert read_start(tmp_path / "v.mp4") == FileStart()
    assert read_start(tmp_path / "gone.mp4") == FileStart()
