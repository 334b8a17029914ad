"""Pages in a real browser: every plot is drawn, and nothing is complained of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import make_annotation_set

from asl_kit.annotations.statistics import describe
from asl_kit.annotations.statistics_page import write_page


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium is installed (apt-get install chromium); ASL_KIT_REQUIRE_CHROMIUM=1 makes this fail"
        if os.environ.get("ASL_KIT_REQUIRE_CHROMIUM"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def load(chromium: str, page: Path, profile: Path) -> tuple[str, list[str]]:
    """Return the page's document after its programs ran, and what they wrote to the console."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,6000", "--virtual-time-budget=10000"]
    command = [chromium, *options, f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.slow
def test_every_plot_of_the_statistics_is_drawn(tmp_path: Path, chromium: str) -> None:
    rows = [(1.0, 2.0, "run"), (1.5, 4.0, "</jump>")]
    annotations = make_annotation_set({"a": ("train", rows), "b": ("test", [])}, ["run", "</jump>"])
    page = tmp_path / "stats.html"
    write_page(annotations, describe(annotations), page)
    document, console = load(chromium, page, tmp_path / "profile")
    assert console == []
    plots = re.findall(r'<div class="plot[^"]*" id="figure-\d+"', document)
    assert len(plots) == 6
    assert document.count('class="main-svg"') >= len(plots)
    assert "&lt;/jump&gt;" in document
