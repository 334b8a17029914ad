import doctest

import pytest

from asl_kit.annotations import point_window
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
