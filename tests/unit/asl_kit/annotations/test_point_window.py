import doctest

import pytest
from helpers.support import GOLDEN

from asl_kit.annotations import point_window, read_annotations
from asl_kit.annotations.conversion import convert
from asl_kit.annotations.point_window import PointWindow
from asl_kit.errors import UsageError


def test_examples() -> None:
    assert doctest.testmod(point_window) == (0, 1)


@pytest.mark.parametrize("text", ["", "x", "1,2,3", "-1", "0", "0,0", "nan", "1,inf"])
def test_faulty_windows_are_refused(text):
    with pytest.raises(UsageError, match="point window") as caught:
        PointWindow.parse(text)
    assert "--point-window 5" in caught.value.hint


WITHIN = {
    "inside": (10.0, 60.0, (8.0, 15.0)),
    "at the start": (1.0, 60.0, (0.0, 6.0)),
    "at the end": (58.0, 60.0, (56.0, 60.0)),
    "duration not known": (58.0, None, (56.0, 63.0)),
    "just after the end, by rounding": (60.04, 60.0, (58.04, 60.0)),
    "after the end": (61.0, 60.0, (59.0, 66.0)),
}


@pytest.mark.parametrize(("point", "duration", "segment"), WITHIN.values(), ids=WITHIN)
def test_window_stays_within_the_video(point, duration, segment):
    assert PointWindow(2, 5).around(point, duration) == segment


@pytest.mark.parametrize("option", [{"point_window": PointWindow(1, 1)}, {"fps": 25.0}], ids=str)
def test_converters_without_use_for_an_option_refuse_it(tmp_path, option):
    source = tmp_path / "own.csv"
    source.write_text("video,start,end,label\na,1,2,x\n")
    with pytest.raises(UsageError, match="the converter 'csv' reads no"):
        convert("csv", source, tmp_path / "out.json", **option)


@pytest.mark.parametrize("converter", ["anvil", "boris", "datavyu", "textgrid"])
def test_points_of_annotation_tools_are_left_out_or_segments(tmp_path, converter):
    sources, output = sorted((GOLDEN / converter / "raw").iterdir()), tmp_path / "out.json"
    left_out = [item for item in convert(converter, sources, output).items if item.reason.startswith("a point in time")]
    report = convert(converter, sources, output, point_window=PointWindow(0.25, 0.125))
    videos = read_annotations(output).videos.values()
    points = [item for video in videos for item in video.segments if "point" in item.attributes]
    assert {(item.attributes["point"] - item.start, item.end - item.attributes["point"]) for item in points} == {
        (0.25, 0.125)
    }
    assert len(points) == len(left_out) > 0
    assert f"{len(points)} points in time are segments from 0.25 s before to 0.125 s after them" in report.notes


def test_a_window_for_sources_without_points_is_noted(tmp_path):
    (tmp_path / "a.csv").write_text("video,duration\ngarden,2\n")
    (tmp_path / "garden.opf.csv").write_text("#4\nx (MATRIX,true,)-y|NOMINAL\n00:00:00:000,00:00:01:000,(z)\n")
    report = convert("datavyu", sorted(tmp_path.iterdir()), tmp_path / "out.json", point_window=PointWindow(1, 1))
    assert "0 points in time are segments from 1 s before to 1 s after them" in report.notes
