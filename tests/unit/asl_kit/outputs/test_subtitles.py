"""Subtitles, read back by three libraries that others wrote."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.detections.table import Detection
from asl_kit.outputs.subtitles import MAX_LINES, MIN_DISPLAY_MS, Cue, make_cues, to_srt, to_vtt, write_subtitles

HOSTILE = "<b>a & b</b> --> {\\an8}\n\n00:00:01.000 --> 00:00:02.000\\N1 &lt; <c.x>"


def rows(*given: tuple[float, float, str, float]) -> list[Detection]:
    return [Detection("v", *row) for row in given]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([(1, 3.5, "run", 0.914)], [Cue(1000, 3500, ("run 0.91",))], id="one"),
        pytest.param(
            [(0, 4, "run", 0.5), (2, 6, "jump", 0.9)],
            [
                Cue(0, 2000, ("run 0.50",)),
                Cue(2000, 4000, ("jump 0.90", "run 0.50")),
                Cue(4000, 6000, ("jump 0.90",)),
            ],
            id="overlap: highest score first",
        ),
        pytest.param(
            [(0, 4, "run", 0.9), (3, 8, "run", 0.8)],
            [Cue(0, 4000, ("run 0.90",)), Cue(4000, 8000, ("run 0.80",))],
            id="of one class the highest score only",
        ),
        pytest.param([(2, 2.1, "run", 0.9)], [Cue(2000, 3000, ("run 0.90",))], id="short: shown longer"),
        pytest.param([(9.8, 10, "run", 0.9)], [Cue(9000, 10000, ("run 0.90",))], id="short at the end: begins earlier"),
        pytest.param([(9.8, 10.4, "run", 0.9)], [Cue(9400, 10400, ("run 0.90",))], id="beyond the end"),
        pytest.param(
            [(0, 2, name, 0.9 - number / 10) for number, name in enumerate("abcde")],
            [Cue(0, 2000, ("a 0.90", "b 0.80", "c 0.70", "and 2 more"))],
            id="more than fit",
        ),
        pytest.param([(0, 2, "a", 0.9), (2, 4, "a", 0.9)], [Cue(0, 4000, ("a 0.90",))], id="equal ones are joined"),
        pytest.param(
            [(0, 2, "a", 0.9), (5, 7, "b", 0.9)], [Cue(0, 2000, ("a 0.90",)), Cue(5000, 7000, ("b 0.90",))], id="gap"
        ),
    ],
)
def test_cues(given: list[tuple[float, float, str, float]], expected: list[Cue]) -> None:
    assert make_cues(rows(*given), 10.0) == expected


# pysubs2 takes any line with two clock times for the start of a subtitle: they are left to the test with ffmpeg.
detections = st.builds(
    lambda start_ms, length_ms, label, score: Detection(
        "v", start_ms / 1000, (start_ms + length_ms) / 1000, label, score
    ),
    *(st.integers(0, 60_000), st.integers(MIN_DISPLAY_MS, 40_000)),
    *(st.sampled_from(["run", "jump", "fly", "swim", HOSTILE.replace(":", " ")]), st.floats(0, 1)),
)


@given(st.lists(detections, max_size=12))
def test_cues_name_what_goes_on_and_never_overlap(shown: list[Detection]) -> None:
    cues = make_cues(shown, 100.0)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(cues))
    for time_ms in {0.5, *(cue.start_ms + 0.5 for cue in cues), *(cue.end_ms + 0.5 for cue in cues)}:
        best: dict[str, float] = {}
        for row in shown:
            if row.start_s * 1000 <= time_ms < row.end_s * 1000:
                best[row.label] = max(row.score, best.get(row.label, 0.0))
        found = [line for cue in cues if cue.start_ms <= time_ms < cue.end_ms for line in cue.lines]
        assert len(found) == min(len(best), MAX_LINES + 1)
        assert [line.rpartition(" ")[2] for line in found[:MAX_LINES]] == [
            f"{score:.2f}" for score in sorted(best.values(), reverse=True)[:MAX_LINES]
        ]


@given(st.lists(detections, max_size=8))
def test_other_readers_find_the_same(shown: list[Detection]) -> None:
    cues = make_cues(shown, 100.0)
    texts = ["\n".join(cue.lines) for cue in cues]
    vtt = webvtt.from_string(to_vtt(cues))
    assert [(milliseconds(each.start), milliseconds(each.end)) for each in vtt] == [cue[:2] for cue in cues]
    assert [html.unescape(each.raw_text) for each in vtt] == texts
    events = pysubs2.SSAFile.from_string(to_srt(cues), "srt", keep_html_tags=True, keep_unknown_html_tags=True)
    assert [(each.start, each.end) for each in events] == [cue[:2] for cue in cues]
    assert [each.text.replace("\\N", "\n").replace("\u2060", "") for each in events] == texts


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return 3_600_000 * int(hours) + 60_000 * int(minutes) + int(seconds.replace(".", ""))


@pytest.mark.parametrize("layout", ["srt", "vtt"])
def test_ffmpeg_reads_them(ffmpeg: str, tmp_path: Path, layout: str) -> None:
    shown = rows((1, 5, HOSTILE, 0.9), (3, 8, "走る & run", 0.8), (4000, 4000.2, "late", 0.7))
    path = tmp_path / f"a: b.x.{layout}"
    write_subtitles(path, shown, duration_s=5000.0)
    probe = shutil.which("ffprobe", path=str(Path(ffmpeg).parent))
    assert probe is not None
    command = [probe, "-v", "error", "-show_packets", "-show_streams", "-of", "json", f"file:{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert [stream["codec_name"] for stream in document["streams"]] == [{"srt": "subrip", "vtt": "webvtt"}[layout]]
    spans = [(float(each["pts_time"]), float(each["duration_time"])) for each in document["packets"]]
    assert spans == [(1, 2), (3, 2), (5, 3), (4000, 1)]
    # Drawn as a player would: every sign of the label is text.
    drawn = subprocess.run(
        [ffmpeg, "-v", "error", "-i", f"file:{path}", "-f", "ass", "-"], capture_output=True, text=True, check=True
    ).stdout
    first = next(line for line in drawn.splitlines() if line.startswith("Dialogue:")).split(",", 9)[9]
    said = first.replace("\u2060", "").replace("\\{", "{").replace("\\}", "}")
    assert said == " ".join(HOSTILE.split()) + " 0.90"


def test_nothing_found_is_a_file_without_cues(tmp_path: Path) -> None:
    for name in ("v.srt", "v.vtt"):
        write_subtitles(tmp_path / "new" / name, [], duration_s=1.0)
    assert (tmp_path / "new" / "v.srt").read_text() == ""
    assert list(webvtt.read(tmp_path / "new" / "v.vtt")) == []
