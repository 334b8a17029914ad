"""The page of `annotations stats --html`: what it says is what is there, whatever the names are."""

import html
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.annotations import AnnotationSet, Segment, Source, Video
from asl_kit.annotations.statistics import describe
from asl_kit.annotations.statistics_page import MAX_TOGETHER, _share_of_time, write_page

NASTY = "</script><b>&\"'"


def make(videos, classes=("run", "jump")):
    source = Source(converter="c", asl_kit="0")
    return AnnotationSet(dataset=NASTY, source=source, vocabularies={"action": list(classes)}, videos=videos)


def video(*times, label="run", split="train", duration=100.0):
    segments = [Segment(start=float(start), end=float(end), labels={"action": label}) for start, end in times]
    return Video(split=split, duration=duration, segments=segments)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open_tags, self.cells, self.data = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open_tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if ("type", "application/json") in attributes:
            self.data[dict(attributes)["id"]] = ""

    def handle_data(self, data):
        if self.open_tags and self.open_tags[-1] in ("td", "th"):
            self.cells[-1] += data.rstrip()
        if self.open_tags and self.open_tags[-1] == "script" and self.data and not self.data[list(self.data)[-1]]:
            self.data[list(self.data)[-1]] = data


def write(tmp_path, annotations):
    path = tmp_path / "stats.html"
    write_page(annotations, describe(annotations, step_s=1.5), path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    return page, {name.removesuffix("-data"): json.loads(text) for name, text in page.data.items()}


def test_page_holds_the_numbers(tmp_path):
    videos = {"a": video((0, 1), (10, 12)), "b": video((5, 9), label=NASTY, split="test"), "c": video(split="test")}
    page, figures = write(tmp_path, make(videos, classes=("run", NASTY)))
    cells = page.cells
    assert cells[cells.index("shorter than one step") :][1:3] == ["0", "1"]
    assert cells[cells.index(NASTY) :][1:3] == ["1", "33.33"]
    assert [len(figure["data"]) > 0 for figure in figures.values()] == [True] * 6
    bars = {trace["name"]: trace for trace in figures["figure-5"]["data"]}
    assert bars["train"]["x"] == ["run", html.escape(NASTY, quote=False)]  # plotly reads entities, and no markup then
    assert list(figures["figure-4"]["data"][0]["y"]) == ["test", "train"]


def test_page_without_any_segment(tmp_path):
    page, figures = write(tmp_path, make({"a": video(), "b": Video(split="test", duration=5.0, segments=None)}))
    assert page.cells[page.cells.index("segments") :][1:3] == ["0", "0"]
    assert figures["figure-1"]["data"] == []


def test_the_same_annotations_give_the_same_page(tmp_path):
    annotations = make({"a": video((0, 1), (10, 12))})
    paths = [tmp_path / name for name in ("1.html", "2.html")]
    for path in paths:
        write_page(annotations, describe(annotations), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 10)), max_size=12))
def test_share_of_time_is_what_counting_each_second_gives(times):
    seconds = np.zeros(100, int)
    for start, length in times:
        seconds[start : start + length] += 1
    expected = np.bincount(np.minimum(seconds, MAX_TOGETHER), minlength=MAX_TOGETHER + 1) / 100
    found = _share_of_time([video(*((start, start + length) for start, length in times))])
    assert found == pytest.approx(expected)


def test_share_of_time_leaves_out_what_is_not_annotated():
    assert not _share_of_time([Video(split="test", duration=5.0, segments=None)]).any()
