"""The table of detections is one that `asl-kit convert csv` reads."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import convert
from asl_kit.detections.json_format import read_predictions
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.outputs.table import write_detections


def videos(*vocabularies: str) -> list[VideoDetections]:
    """Return two videos; of several vocabularies, with their combinations."""
    rows = {"b": [(1.0 / 3, 2.5, 'a "quoted", one', 0.1 + 0.2), (3.0, 9.99, "=run", 0.9)], "a 1": []}
    found = []
    for name, part in rows.items():
        table = Detections.from_lists([(name, *row) for row in part], video_ids=[name])
        tables = DetectionTables(dict.fromkeys(vocabularies, table), table if len(vocabularies) > 1 else None)
        found.append(VideoDetections(name, Path(f"{name}.mp4"), 9.99, 29.97, 300, tables))
    return found


def test_nothing_is_rounded_and_videos_without_detections_are_there(tmp_path: Path) -> None:
    (path,) = write_detections(tmp_path / "d.CSV", videos("action"))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["video", "start", "end", "label", "score", "duration", "fps"],
        ["a 1", "", "", "", "", "9.99", "29.97"],
        ["b", "3.0", "9.99", "=run", "0.9", "9.99", "29.97"],
        ["b", "0.3333333333333333", "2.5", 'a "quoted", one', "0.30000000000000004", "9.99", "29.97"],
    ]


def test_it_can_be_converted_to_annotations(tmp_path: Path) -> None:
    (path,) = write_detections(tmp_path / "d.csv", videos("action"))
    convert("csv", [path], tmp_path / "a.json")
    annotations = read_annotations(tmp_path / "a.json")
    assert {name: (video.duration, video.fps) for name, video in annotations.videos.items()} == {
        "a 1": (9.99, 29.97),
        "b": (9.99, 29.97),
    }
    segments = [(each.start, each.end, each.labels["action"]) for each in annotations.videos["b"].segments or ()]
    assert segments == [(1.0 / 3, 2.5, 'a "quoted", one'), (3.0, 9.99, "=run")]
    assert annotations.videos["a 1"].segments == []


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_several_vocabularies_are_a_file_each(tmp_path: Path, suffix: str) -> None:
    written = write_detections(tmp_path / f"d.{suffix}", videos("verb", "noun"))
    assert [path.name for path in written] == [f"d-verb.{suffix}", f"d-noun.{suffix}", f"d-verb-noun.{suffix}"]
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_any_other_suffix_is_json(tmp_path: Path) -> None:
    (path,) = write_detections(tmp_path / "detections", videos("action"))
    assert len(read_predictions(path)) == 2
