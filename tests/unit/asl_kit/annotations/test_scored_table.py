"""The table of detections is read as it was written, and as spreadsheet programs leave it."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.annotations.tables import TIME_HINT
from asl_kit.detections.json_format import read_predictions
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import MissingFileError, PredictionError
from asl_kit.outputs.table import write_detections

NAMES = st.text(string.ascii_letters + string.digits + ",;\"'=-. é走", min_size=1).filter(
    lambda name: name == name.strip()
)
TIMES = st.floats(0, 1e9)


@given(st.dictionaries(NAMES, st.lists(st.tuples(TIMES, TIMES, NAMES, st.floats(-1e9, 1e9)), max_size=4), min_size=1))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, found: dict[str, list]) -> None:
    path = tmp_path_factory.mktemp("table") / "d.csv"
    videos = []
    for name, part in found.items():
        rows = [(name, *sorted(row[:2]), *row[2:]) for row in part]
        table = Detections.from_lists(rows, video_ids=[name])
        videos.append(VideoDetections(name, Path("v.mp4"), 9.99, 29.97, 300, DetectionTables({"action": table})))
    write_detections(path, videos)
    read = read_predictions(path)
    assert set(read.video_ids) == set(found)
    for video in videos:
        assert read.rows(video.video_id) == video.rows()


def test_as_a_spreadsheet_program_saves_it(tmp_path: Path) -> None:
    text = "\ufeffscore;video;note;start;end;label\n0,5;a;x;1:00,5;62;run\n;b;;;;\n"
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    read = read_predictions(tmp_path / "d.csv")
    assert read.video_ids == ("a", "b")
    assert read.rows("a") == [("a", 60.5, 62.0, "run", 0.5)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("video,start,end,label\nv,1,2,run\n", r"d\.csv:1: column 'score' is missing \(also accepted: confidence, "),
        ("video,start,end,label,score\n", "no rows below the first line"),
        ("video,start,end,label,score\nv,1,2,run,\n", r"d\.csv:2: score: empty"),
        ("video,start,end,label,score\n,,,,\nx,,,,\n,1,2,run,1\n", r"d\.csv:4: video: empty"),
        ("video,start,end,label,score\nv,1,2,run,much\n", r"d\.csv:2: score: expected a number, found 'much'"),
        ("video,start,end,label,score\nv,1,1:75,run,1\n", r"d\.csv:2: end: expected a number, found '1:75'"),
        ("video,start,end,label,score\nv,1,2,run,nan\n", r"d\.csv: video 'v', entry 0, score: .* found nan"),
        ("video,start,end,label,score\nv,3,2,run,1\n", r"d\.csv: video 'v', entry 0, segment.* not before start_s"),
        ("video,start,end,label,score\nv,1,2,run\n", r"d\.csv:2: 4 cells, expected 5"),
    ],
    ids=["no score", "no rows", "empty", "no video", "text", "no time", "NaN", "end before start", "short row"],
)
def test_what_is_wrong_is_named(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "d.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(PredictionError, match=message) as caught:
        read_predictions(tmp_path / "d.csv")
    assert (caught.value.hint == TIME_HINT) == ("1:75" in rows)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"d\.csv: no such file"):
        read_predictions(tmp_path / "d.csv")
