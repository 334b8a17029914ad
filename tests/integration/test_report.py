"""The report in a real browser: it loads without a word on the console, and slider, filter, seeking and keys work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browser import Browser
from helpers.support import make_annotation_set, write_video

from asl_evaluate.report import report_file
from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections
from asl_kit.metrics import ScoredSegments, Segments
from asl_kit.metrics.matching import match_detections

pytestmark = pytest.mark.slow

HOSTILE_CLASS = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'
HOSTILE_ID = "--><svg/onload='window.hacked=1'>&amp;\"${1}</select>"
CLASSES = ["run", HOSTILE_CLASS, "$x^2$ <b>bold</b>"]
DURATION_S = 100.0  # of every video that make_annotation_set makes
READY = "document.getElementById('explorer').dataset.ready"
OPTIONS = "[...document.getElementById('pick-video').options].map(option => option.text)"


def random_rows(seed: int) -> tuple[dict[str, Any], list[tuple[str, float, float, str, float]]]:
    """Return truth by video, and predictions, with times on a grid of 0.5 s so that tIoUs are often equal."""
    random = np.random.default_rng(seed)
    truth: dict[str, Any] = {}
    predictions = []
    for video_id in ("film", HOSTILE_ID, "video 3", "empty", *(f"more {number}" for number in range(8))):
        rows = []
        for _ in range(0 if video_id == "empty" else random.integers(2, 9)):
            start = float(random.integers(0, 180)) / 2
            rows.append((start, start + float(random.integers(2, 18)) / 2, CLASSES[random.integers(3)]))
        truth[video_id] = ("test", rows)
        for start, end, label in [*rows, *rows]:
            shift, stretch = random.integers(-6, 7, 2) / 2
            start = max(0.0, start + shift)
            name = label if random.random() < 0.8 else CLASSES[random.integers(3)]
            predictions.append((video_id, start, max(end + stretch, start + 0.5), name, float(random.random())))
    return truth, predictions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    truth, predictions = random_rows(0)
    write_annotations(make_annotation_set(truth, CLASSES, dataset="</title><b>own"), folder / "annotations.json")
    write_predictions(folder / "predictions.json", Detections.from_lists(predictions, video_ids=list(truth)))
    (folder / "my videos #1").mkdir()
    write_video(folder / "my videos #1" / "film.mp4", frames=1000)
    (folder / "my videos #1" / "video 3.mp4").write_bytes(b"no video")
    curve = {"p_cls": [0.1, 1.0, 0.1], "p_loc": [1.0, 0.0, 1.0], "mu": {"start": 0.1}, "sigma": {"start": 0.2}}
    learned = {
        "format": "asl-kit/sensitivity",
        "version": 1,
        "split": "test",
        "mode": "quality",
        "u": [-0.5, 0, 0.5],
        "classes": {name: {**curve, "training_segments": 3} for name in CLASSES},
        "videos": {"film": {"first_s": 0.5, "step_s": 1.0, "q_cls": [0.2] * 99, "q_loc": [0.4] * 99}},
    }
    (folder / "sensitivity.json").write_text(json.dumps(learned))
    report_file(
        folder / "report.html",
        predictions=folder / "predictions.json",
        annotations=folder / "annotations.json",
        videos=folder / "my videos #1",
        sensitivity=folder / "sensitivity.json",
    )
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(folder: Path, browser: Browser) -> Browser:
    browser.open(folder / "report.html")
    browser.wait_for(READY)
    choose(
        browser, "video", "[...document.getElementById('pick-video').options].findIndex(o => o.text.startsWith('film'))"
    )
    return browser


def choose(browser: Browser, name: str, index: str) -> None:
    """Choose an option as a user does, by its place in the list."""
    element = f"document.getElementById('pick-{name}')"
    browser.evaluate(f"{element}.selectedIndex = {index}; {element}.dispatchEvent(new Event('change'))")


def slide(browser: Browser, name: str, value: float) -> None:
    """Set a slider as a user does, and let go of it."""
    element = f"document.getElementById('pick-{name}')"
    events = "".join(f"{element}.dispatchEvent(new Event('{event}'));" for event in ("input", "change"))
    browser.evaluate(f"{element}.value = {value}; {events}")


def count(browser: Browser, selector: str) -> int:
    number: int = browser.evaluate(f"document.querySelectorAll({selector!r}).length")
    return number


def expected_options(score: float, tiou: float) -> list[str]:
    """Return what the list of videos must say, by the package's own matching."""
    truth, predictions = random_rows(0)
    names = sorted(truth)
    rows = [(names.index(v), start, end, CLASSES.index(c)) for v in names for start, end, c in truth[v][1]]
    video, start, end, label = (np.array(column) for column in zip(*rows, strict=True))
    found = [(names.index(v), start, end, CLASSES.index(c), s) for v, start, end, c, s in predictions if s >= score]
    columns = [np.array(column) for column in zip(*found, strict=True)]
    predicted = ScoredSegments(*columns)
    matching = match_detections(Segments(video, start, end, label), predicted, num_classes=3, tiou_thresholds=[tiou])
    right = np.bincount(video[matching.truth[0]], minlength=len(names))
    wrong = np.bincount(predicted.video, minlength=len(names)) - right
    return [f"{name}: {right[i]} of {len(truth[name][1])} found, {wrong[i]} wrong" for i, name in enumerate(names)]


def test_nothing_is_complained_of_and_no_name_is_read_as_markup(page: Browser) -> None:
    plots = "document.querySelectorAll('.plot')"
    assert page.evaluate(f"{plots}.length") == 10
    page.evaluate(f"{plots}.forEach(plot => plot.scrollIntoView())")
    page.call("Emulation.setDeviceMetricsOverride", width=1200, height=9000, deviceScaleFactor=1, mobile=False)
    page.wait_for(f"[...{plots}].every(plot => plot.querySelector('.main-svg'))")
    for video in range(12):
        choose(page, "video", str(video))
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert count(page, "img") == 0
    assert page.complaints() == []
    ticks = page.evaluate("[...document.querySelectorAll('.ytick text')].map(tick => tick.textContent)")
    assert set(CLASSES) <= set(ticks)
    assert page.evaluate("document.querySelector('h1').textContent") == "</title><b>own: report"


@pytest.mark.parametrize("tiou", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("score", [0.0, 0.4])
def test_what_is_right_is_what_the_score_takes_for_right(page: Browser, score: float, tiou: float) -> None:
    choose(page, "tiou", str([0.3, 0.4, 0.5, 0.6, 0.7].index(tiou)))
    slide(page, "score", score)
    assert page.evaluate(OPTIONS) == expected_options(score, tiou)


def test_the_score_slider_works_by_keyboard(page: Browser) -> None:
    page.evaluate("document.getElementById('pick-score').focus()")
    page.press("Home")
    assert count(page, ".lane .prediction") == sum(row[0] == "film" for row in random_rows(0)[1])
    for _ in range(30):
        page.press("ArrowRight")
    low = page.evaluate("Number(document.getElementById('pick-score').value)")
    assert low > 0.2
    assert count(page, ".lane .prediction") == sum(v == "film" and s >= low for v, *_, s in random_rows(0)[1])
    assert f"with a score of at least {low:.3g}" in page.evaluate(
        "document.getElementById('video-summary').textContent"
    )


def test_the_class_filter_leaves_its_lanes_and_videos(page: Browser) -> None:
    slide(page, "score", 0)
    choose(page, "class", "1")
    assert page.evaluate("document.getElementById('pick-class').selectedOptions[0].text") == CLASSES[0]
    truth, predictions = random_rows(0)
    having = {name for name, (_, rows) in truth.items() if any(row[2] == CLASSES[0] for row in rows)}
    having |= {row[0] for row in predictions if row[3] == CLASSES[0]}
    assert [text.rpartition(":")[0] for text in page.evaluate(OPTIONS)] == sorted(having)
    for number in range(len(having)):
        choose(page, "video", str(number))
        names = page.evaluate("[...document.querySelectorAll('.lane-name')].map(name => name.textContent)")
        assert [name for name in names if not name.startswith("learned")] == [CLASSES[0]]


def test_the_order_of_videos(page: Browser) -> None:
    choose(page, "order", "1")
    lost = [
        int(words[2]) - int(words[0]) for words in (text.rsplit(": ")[-1].split() for text in page.evaluate(OPTIONS))
    ]
    assert lost == sorted(lost, reverse=True)
    assert page.evaluate("document.getElementById('pick-video').selectedIndex") == 0
    page.evaluate("document.getElementById('next').click()")
    assert page.evaluate("document.getElementById('pick-video').selectedIndex") == 1


def test_a_click_on_the_timeline_seeks_in_the_video(page: Browser) -> None:
    page.wait_for("document.getElementById('film').readyState >= 1")
    page.evaluate("document.getElementById('lanes').scrollIntoView()")
    box = page.evaluate(
        "(({left, top, width}) => [left, top, width])(document.getElementById('lanes').getBoundingClientRect())"
    )
    page.click(box[0] + box[2] * 0.4, box[1] + 30)
    page.wait_for("Math.abs(document.getElementById('film').currentTime - 40) < 0.2")
    assert page.evaluate("Number(document.getElementById('pick-time').value)") == pytest.approx(40, abs=0.2)
    assert page.evaluate("parseFloat(document.getElementById('playhead').style.left)") == pytest.approx(40, abs=0.2)
    assert page.evaluate("document.getElementById('readout').textContent").startswith(("39.", "40."))
    page.evaluate("(film => { film.muted = true; return film.play(); })(document.getElementById('film'))")
    page.wait_for("Number(document.getElementById('pick-time').value) > 40.5")
    page.evaluate("document.getElementById('film').pause()")
    assert page.complaints() == []


def test_a_file_that_is_no_video_is_told_of(page: Browser) -> None:
    choose(
        page, "video", "[...document.getElementById('pick-video').options].findIndex(o => o.text.startsWith('video 3'))"
    )
    page.wait_for("!document.getElementById('film-fault').hidden")
    assert "video 3" in page.evaluate("document.getElementById('film-fault').textContent")
    choose(
        page, "video", "[...document.getElementById('pick-video').options].findIndex(o => o.text.startsWith('empty'))"
    )
    assert page.evaluate("document.querySelector('.film').hidden")


def test_arrow_keys_go_from_boundary_to_boundary(page: Browser) -> None:
    choose(page, "class", "2")
    truth, predictions = random_rows(0)
    best = page.evaluate("Number(document.getElementById('pick-score').value)")
    rows = [row[:2] for row in truth["film"][1] if row[2] == CLASSES[1]]
    rows += [row[1:3] for row in predictions if row[0] == "film" and row[3] == CLASSES[1] and row[4] >= best]
    ends = sorted({0.0, DURATION_S, *(time for row in rows for time in row)})
    assert len(ends) > 4
    page.evaluate("document.getElementById('lanes-frame').focus()")
    visited = []
    for _ in ends[1:]:
        page.press("ArrowRight")
        visited.append(page.evaluate("Number(document.getElementById('pick-time').value)"))
    assert visited == pytest.approx(ends[1:])
    page.press("ArrowLeft")
    assert page.evaluate("Number(document.getElementById('pick-time').value)") == pytest.approx(ends[-2])
    assert "truth: " in page.evaluate("document.getElementById('pick-time').getAttribute('aria-valuetext')")


def test_every_control_is_reached_by_tab_and_has_a_name(page: Browser) -> None:
    page.evaluate("document.getElementById('pick-video').focus()")
    reached = []
    for _ in range(12):
        reached.append(page.evaluate("document.activeElement.id"))
        page.press("Tab")
    controls = ["video", "order", "class", "tiou", "score", "zoom", "time"]
    assert [name.removeprefix("pick-") for name in reached if name.startswith("pick-")] == controls
    assert {"previous", "next", "lanes-frame", "film"} <= {*reached, page.evaluate("document.activeElement.id")}
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    parts = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    named = {"combobox", "slider", "button", "navigation"}
    assert {role for role, _ in parts} >= named
    assert [(role, name) for role, name in parts if role in named and not name.strip()] == []


def test_the_table_says_what_the_timeline_shows(page: Browser) -> None:
    slide(page, "score", 0)
    page.evaluate("document.querySelector('#as-table summary').click()")
    page.wait_for("document.querySelectorAll('#table-rows tr').length")
    rows = page.evaluate(
        "[...document.querySelectorAll('#table-rows tr')].map(row => [...row.children].map(cell => cell.textContent))"
    )
    truth, predictions = random_rows(0)
    assert [row for row in rows if row[1] == "truth"] == [
        [label, "truth", f"{start:.2f}", f"{end:.2f}", "", row[5]]
        for (start, end, label), row in zip(
            sorted(truth["film"][1], key=lambda row: row[:2]), (row for row in rows if row[1] == "truth"), strict=True
        )
    ]
    assert len(rows) == len(truth["film"][1]) + sum(row[0] == "film" for row in predictions)
    slide(page, "score", 0.5)
    assert count(page, "#table-rows tr") == len(truth["film"][1]) + sum(
        v == "film" and s >= 0.5 for v, *_, s in predictions
    )


def test_learned_curves_are_drawn(page: Browser) -> None:
    segments = len(random_rows(0)[0]["film"][1])
    assert count(page, ".lane .learned") == 2 * segments + 2


@pytest.mark.parametrize(("dark", "paper"), [(False, "rgb(255, 255, 255)"), (True, "rgb(13, 17, 23)")])
def test_light_and_dark(folder: Path, browser: Browser, dark: bool, paper: str) -> None:
    browser.open(folder / "report.html", dark=dark)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    browser.wait_for("document.querySelector('.xtick text')")
    ink = browser.evaluate("getComputedStyle(document.body).color")
    assert browser.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill") == ink


def test_a_narrow_window_is_not_scrolled_sideways(folder: Path, browser: Browser) -> None:
    browser.open(folder / "report.html", width=360, height=800)
    browser.wait_for(READY)
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_plots_that_were_never_in_view_are_drawn(folder: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(folder / "report.html", height=400)
    browser.wait_for("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))")
    assert browser.evaluate("window.scrollY") == 0
    browser.screenshot(tmp_path / "whole.png", whole=True)
    assert browser.complaints() == []


def test_print_leaves_out_the_controls(page: Browser, tmp_path: Path) -> None:
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert page.evaluate("getComputedStyle(document.querySelector('.controls')).display") == "none"
        assert page.evaluate("getComputedStyle(document.getElementById('lanes')).display") != "none"
    finally:
        page.call("Emulation.setEmulatedMedia", media="")
    page.print(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert page.evaluate("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))")
    assert page.complaints() == []
