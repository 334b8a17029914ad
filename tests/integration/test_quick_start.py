"""docs/quick-start.md, run as it is: each command prints what the page shows. Then README's demo, on more videos."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.readme import block
from helpers.site_tools import load_site_tool

from asl_kit.demo.motions import MOTIONS
from asl_kit.demo.videos import VideoPlan, demo_plans, write_demo_videos

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Run the page; return its folder, and what each block printed."""
    folder = tmp_path_factory.mktemp("quick start")
    return folder, list(QUICK_START.run(folder))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_page_shows_what_the_commands_print(printed: tuple[Path, list[str]]) -> None:
    """`python docs/site/quick_start.py` brings a page up to date."""
    folder, outputs = printed
    for (commands, shown), output in zip(QUICK_START.blocks(), outputs, strict=True):
        assert comparable(output) == comparable(shown), commands
    found = (folder / "detections.csv").read_text(encoding="utf-8").splitlines()
    assert len(found) > 10
    assert "test_00.mp4" in (folder / "report.html").read_text(encoding="utf-8")


def stop(plan: VideoPlan) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_demo(printed: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The demo succeeds, finds actions in videos that it never saw, and ends as README's picture shows.

    It goes on after an interruption: its first videos and their features are those of the quick start.
    """
    assert block("demo").endswith(" && asl-kit demo")
    folder = tmp_path / "asl-kit-demo"
    with pytest.raises(KeyboardInterrupt):
        write_demo_videos(folder, demo_plans(), on_video=stop)
    for name in ("videos", "features.zarr"):
        shutil.copytree(printed[0] / name, folder / name, dirs_exist_ok=True)
    command = [sys.executable, "-m", "asl_kit", "demo", "--json", "demo.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:])  # noqa: T201 - shown by pytest when the test fails
    assert done.returncode == 0, done.stderr[-3000:]
    assert "12 videos extracted, 16 already in the store, 0 failed" in done.stdout
    result = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))
    assert result["scores"]["split"] == "test"
    assert result["scores"]["mAP"][result["scores"]["tiou"].index(0.5)] >= 0.60
    verified = run("store", "verify", folder / "features.zarr")
    assert verified.exit_code == 0, verified.output
    picture = (ROOT / "docs" / "images" / "demo.svg").read_text(encoding="utf-8")
    recorded = html.unescape(" ".join(re.findall(r"<text[^>]*>(.*?)</text>", picture)))
    differing = words(recorded.partition("...")[2]) ^ words(done.stdout.partition("result ─")[2])
    assert differing <= {"nothing"}, "run python docs/site/sample_output.py"


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]{2,}", text))


def test_it_installs_as_readme_does() -> None:
    assert block("demo") == f"{QUICK_START.install().strip()} && asl-kit demo"


def test_every_command_is_shown_with_its_output() -> None:
    assert len(QUICK_START.blocks()) == 8
    assert all(shown for _, shown in QUICK_START.blocks())
