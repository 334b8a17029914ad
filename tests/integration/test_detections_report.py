"""The report of detections without annotations, in a real browser: nothing is judged, and the video follows a click."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browser import Browser
from helpers.support import write_video

from asl_evaluate.report import write_detections_report
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections
from asl_kit.outputs.detections_report import report_detections

pytestmark = pytest.mark.slow

HOSTILE = "</script><img src=x onerror='window.hacked = 1'>"
ROWS = [
    ("film", 1.0, 3.0, "run", 0.9),
    ("film", 2.0, 4.0, HOSTILE, 0.5),
    ("film", 5.0, 6.0, "run", 0.1),
    (HOSTILE, 0.0, 7.0, "jump", 0.95),
    (HOSTILE, 8.0, 9.0, "jump", 0.4),
    (HOSTILE, 8.0, 9.0, "run", 0.31),
]
READY = "document.getElementById('explorer').dataset.ready"
OPTIONS = "[...document.getElementById('pick-video').options].map(option => option.text)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    detections = Detections.from_lists(ROWS, video_ids=[HOSTILE, "empty", "film"])
    write_predictions(folder / "predictions.json", detections)
    write_video(folder / "film.mp4", frames=200)  # 20 s, longer than the last detection
    report_detections(folder / "read.html", predictions=folder / "predictions.json", videos=folder)
    durations_s = {HOSTILE: 10.0, "empty": 3.0, "film": 20.0}
    write_detections_report(
        folder / "known.html", detections, durations_s=durations_s, files={"film": folder / "film.mp4"}
    )
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def choose(browser: Browser, name: str, index: int) -> None:
    element = f"document.getElementById('pick-{name}')"
    browser.evaluate(f"{element}.selectedIndex = {index}; {element}.dispatchEvent(new Event('change'))")


def texts(browser: Browser, selector: str) -> list[str]:
    """Return the texts that are to be seen."""
    seen = f"[...document.querySelectorAll({selector!r})].filter(part => part.checkVisibility())"
    found: list[str] = browser.evaluate(f"{seen}.map(part => part.innerText)")
    return found


def test_detections_are_shown_and_nothing_is_judged(folder: Path, browser: Browser) -> None:
    browser.open(folder / "read.html")
    browser.wait_for(READY)
    assert browser.evaluate(OPTIONS) == [f"{HOSTILE}: 3 detections", "empty: 0 detections", "film: 2 detections"]
    choose(browser, "video", 2)
    assert texts(browser, "#video-summary") == ["film: 2 detections with a score of at least 0.3."]
    assert texts(browser, ".legend li") == ["detection"]
    browser.evaluate("document.querySelector('#as-table summary').click()")
    browser.wait_for("document.querySelectorAll('#table-rows tr').length")
    assert texts(browser, "#as-table th, #as-table td") == [
        *("class", "start (s)", "end (s)", "score", "run", "1.00", "3.00", "0.9", HOSTILE, "2.00", "4.00", "0.5"),
    ]
    assert set(browser.evaluate("[...document.querySelectorAll('.lane rect')].map(bar => bar.classList.value)")) == {
        "prediction plain"
    }
    body = browser.evaluate("document.body.innerText")
    assert not [word for word in ("mAP", "tIoU", "truth", "wrong", "missed") if word in body]
    assert browser.evaluate("typeof window.hacked") == "undefined"
    assert browser.complaints() == []


def test_score_class_and_order(folder: Path, browser: Browser) -> None:
    browser.open(folder / "known.html")
    browser.wait_for(READY)
    score = "document.getElementById('pick-score')"
    browser.evaluate(f"{score}.value = 0; for (const e of ['input', 'change']) {score}.dispatchEvent(new Event(e))")
    choose(browser, "order", 2)
    assert browser.evaluate(OPTIONS) == [f"{HOSTILE}: 3 detections", "film: 3 detections", "empty: 0 detections"]
    choose(browser, "class", 3)
    assert browser.evaluate(OPTIONS) == ["film: 2 detections", f"{HOSTILE}: 1 detection"]
    assert texts(browser, ".lane-name") == ["run"]


def test_a_click_seeks_and_an_unknown_length_is_learned_from_the_file(folder: Path, browser: Browser) -> None:
    browser.open(folder / "read.html")
    browser.wait_for(READY)
    choose(browser, "video", 2)
    browser.wait_for("document.getElementById('film').readyState >= 1")
    browser.wait_for("Math.abs(Number(document.getElementById('pick-time').max) - 20) < 0.1")
    box = browser.evaluate(
        "(e => (e.scrollIntoView(), (({left, top, width}) => [left, top, width])(e.getBoundingClientRect())))"
        "(document.getElementById('lanes'))"
    )
    browser.click(box[0] + box[2] * 0.125, box[1] + 30)
    browser.wait_for("Math.abs(document.getElementById('film').currentTime - 2.5) < 0.1")
    assert f"run 0.9, {HOSTILE} 0.5" in texts(browser, "#readout")[0]
    assert browser.complaints() == []


@pytest.mark.parametrize(("dark", "paper"), [(False, "rgb(255, 255, 255)"), (True, "rgb(13, 17, 23)")])
def test_light_and_dark(folder: Path, browser: Browser, dark: bool, paper: str) -> None:
    browser.open(folder / "known.html", dark=dark, width=360, height=800)
    browser.wait_for(READY)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
