from __future__ import annotations

from pathlib import Path

import pytest

from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.outputs.selection import on_one_line, select_shown

Row = tuple[float, float, str, float]


def table(*rows: Row) -> Detections:
    return Detections.from_lists([("v", *row) for row in rows], video_ids=["v"])


def found(tables: DetectionTables) -> VideoDetections:
    return VideoDetections("v", Path("v.mp4"), 60.0, 25.0, 1500, tables)


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        pytest.param([(0, 1, "run", 0.3), (2, 3, "run", 0.299)], [0], id="least score is shown"),
        pytest.param([(0, 4, "run", 0.8), (2, 6, "run", 0.9)], [1], id="half of both shared"),
        pytest.param([(0, 4, "run", 0.8), (2.1, 6, "run", 0.9)], [1, 0], id="less than half shared"),
        pytest.param([(0, 9, "run", 0.9), (4, 5, "run", 0.8)], [0], id="one within the other"),
        pytest.param([(0, 4, "run", 0.8), (0, 4, "jump", 0.9)], [1, 0], id="other class"),
        pytest.param([(0, 4, "run", 0.9), (4, 8, "run", 0.8)], [0, 1], id="end to end"),
        pytest.param([(3, 3, "run", 0.9)], [], id="no time at all"),
        pytest.param([(0, 4, "a", 0.9), (3, 7, "a", 0.8), (5, 8, "a", 0.7)], [0, 1], id="like one that is shown"),
        pytest.param([(0, 4, "a", 0.9), (1, 5, "a", 0.8), (4.5, 8, "a", 0.7)], [0, 2], id="like one left out"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_what_is_shown(rows: list[Row], kept: list[int]) -> None:
    video = found(DetectionTables({"action": table(*rows)}))
    assert [tuple(row[1:]) for row in select_shown(video, min_score=0.3)] == [rows[index] for index in kept]


@pytest.mark.parametrize(("combined", "shown"), [(True, "take,plate"), (False, "plate")])
def test_combinations_are_shown_if_there_are_any(combined: bool, shown: str) -> None:
    by_vocabulary = {"verb": table((0, 1, "take", 0.9)), "noun": table((0, 1, "plate", 0.9))}
    tables = DetectionTables(by_vocabulary, table((0, 1, "take,plate", 0.8)) if combined else None)
    assert [row.label for row in select_shown(found(tables))] == [shown]


@pytest.mark.parametrize(
    ("text", "line"), [("a\nb", "a b"), (" a\r\n\tb ", "a b"), ("a\x00\u2028b", "a b"), ("çé 走", "çé 走")]
)
def test_on_one_line(text: str, line: str) -> None:
    assert on_one_line(text) == line
