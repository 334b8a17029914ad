import doctest
import json

import pytest

from asl_kit.annotations import conversion, io
from asl_kit.annotations.conversion import convert, find_converter
from asl_kit.errors import AnnotationError

ROWS = "video,start,end,label,duration\na,0.5,2,run,5\na,3,4,jump,\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "segments.csv").write_text(ROWS)
    return tmp_path / "segments.csv"


def test_examples(table):
    assert doctest.testmod(conversion) == (0, 4)
    assert doctest.testmod(io) == (0, 3)


def test_one_source_or_several_as_text_or_path(table, tmp_path):
    convert("csv", str(table), str(tmp_path / "text.json"))
    expected = (tmp_path / "text.json").read_bytes()
    for sources in (table, [table], (str(table),)):
        convert("csv", sources, tmp_path / "other.json")
        assert (tmp_path / "other.json").read_bytes() == expected


def test_strict_writes_nothing_and_lists_the_differences(tmp_path):
    (tmp_path / "Diving_val.txt").write_text("video_validation_0000001 1.0 2.0\n")
    with pytest.raises(
        AnnotationError, match=r"^--strict: \d+ differences\n  split validation: 200 videos expected, 1 found"
    ):
        convert("thumos14", tmp_path / "Diving_val.txt", tmp_path / "out.json", strict=True)
    assert not (tmp_path / "out.json").exists()


def test_a_dataset_is_converted_under_its_own_name_too() -> None:
    assert find_converter("activitynet13") is find_converter("activitynet")
    assert find_converter("epic100") is find_converter("epic-kitchens")


def test_refused_if_no_segment_can_be_kept(tmp_path):
    """Own annotations in ActionFormer's layout, converted as THUMOS14."""
    own = {"subset": "Test", "duration": 9, "annotations": [{"label": "pour", "segment": [1, 2]}] * 2}
    source = tmp_path / "own.json"
    source.write_text(json.dumps({"database": {"kitchen": own}}))
    message = r"all 2 segments would be left out.*own\.json: video 'kitchen': .*found 'pour'"
    with pytest.raises(AnnotationError, match=message) as caught:
        convert("thumos14", source, tmp_path / "out.json")
    assert "activitynet-json" in caught.value.hint
    assert not (tmp_path / "out.json").exists()
    convert("activitynet-json", source, tmp_path / "out.json")
