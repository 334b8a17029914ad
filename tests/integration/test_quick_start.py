"""docs/quick-start.md, run as it is: each command prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.readme import block
from helpers.site_tools import load_site_tool

from asl_kit.demo.motions import MOTIONS

QUICK_START = load_site_tool("quick_start")
ANY = [
    (r"\d+\.\d+", "N"),  # scores and times
    (rf"\b({'|'.join(MOTIONS)})\b", "CLASS"),  # their order is that of the scores
    (r"^( *CLASS .*N) +\d+ +\d+$", r"\1 N N"),  # segments and predictions of a class
    (r"\d+ frames/s", "N frames/s"),
    (r"\d+ clips per batch, \d+ decoder process(es)?", "N clips per batch, N decoder processes"),
    (r"torch\.\w+", "TYPE"),
    (r"[─━┏┓┗┛┡┩┌┐└┘├┤┬┴┼┳┻╇ │┃]+", " "),  # columns are as wide as their numbers
]
"""What differs between machines, and what stands for it."""


def comparable(output: str) -> list[str]:
    lines = []
    for line in output.splitlines():
        for pattern, replacement in ANY:
            line = re.sub(pattern, replacement, line)
        lines.append(line.strip())
    return lines


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    """`python docs/site/quick_start.py` brings a page up to date."""
    for (commands, shown), printed in zip(QUICK_START.blocks(), QUICK_START.run(tmp_path), strict=True):
        assert comparable(printed) == comparable(shown), commands
    found = (tmp_path / "detections.csv").read_text(encoding="utf-8").splitlines()
    assert len(found) > 10
    assert "test_00.mp4" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_it_installs_as_readme_does() -> None:
    assert block("demo") == f"{QUICK_START.install().strip()} && asl-kit demo"


def test_every_command_is_shown_with_its_output() -> None:
    assert len(QUICK_START.blocks()) == 8
    assert all(shown for _, shown in QUICK_START.blocks())
