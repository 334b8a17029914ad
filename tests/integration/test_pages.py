"""Pages in a real browser: every plot is drawn, and nothing is complained of."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.browser import Browser
from helpers.support import make_annotation_set

from asl_kit.annotations.statistics import describe
from asl_kit.annotations.statistics_page import write_page


@pytest.mark.slow
def test_every_plot_of_the_statistics_is_drawn(tmp_path: Path) -> None:
    rows = [(1.0, 2.0, "run"), (1.5, 4.0, "</jump>")]
    annotations = make_annotation_set({"a": ("train", rows), "b": ("test", [])}, ["run", "</jump>"])
    page = tmp_path / "stats.html"
    write_page(annotations, describe(annotations), page)
    with Browser(tmp_path / "profile") as browser:
        browser.open(page, height=6000)
        plots = "document.querySelectorAll('.plot')"
        assert browser.evaluate(f"{plots}.length") == 6
        browser.wait_for(f"[...{plots}].every(plot => plot.querySelector('.main-svg'))")
        assert browser.complaints() == []
        ticks = browser.evaluate("[...document.querySelectorAll('.xtick text')].map(tick => tick.textContent)")
        assert "</jump>" in ticks
        assert "</jump>" in browser.evaluate("document.querySelector('main').innerText")
