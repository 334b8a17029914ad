"""Make README's two pictures from a run of `asl-kit demo`: `python docs/site/sample_output.py`.

Takes minutes, and needs Chromium.

``docs/images/demo.svg`` is what the demo prints last, recorded from a terminal.
``docs/images/report.png`` shows the report that it writes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
COLUMNS = 96
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import Browser  # noqa: E402


def record_demo(folder: Path) -> str:
    """Run `asl-kit demo` in a folder, as in a terminal, and return what it prints, colours included."""
    # Fixed size and colours, whatever terminal this script itself runs in.
    terminal = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "asl_kit", "demo"]
    done = subprocess.run(command, cwd=folder, env=os.environ | terminal, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def draw_terminal(printed: str) -> str:
    """Return the last part of what the demo printed, as SVG that loads nothing from the network."""
    lines = printed.splitlines()
    start = max(number for number, line in enumerate(lines) if Text.from_ansi(line).plain.startswith("result ─"))
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.assemble("$ ", ("asl-kit demo", "bold")))
        for line in ["...", *lines[start + 1 :]]:
            console.print(Text.from_ansi(line))
    picture = console.export_svg(title="asl-kit demo", unique_id="demo")
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)


def photograph_report(page: Path, picture: Path, profile: Path) -> None:
    """Write a picture of a timeline on a report's page, with its video at a moment of action."""
    seek = "const time = document.getElementById('pick-time'); time.value = 10; time.dispatchEvent(new Event('input'))"
    with Browser(profile) as browser:
        browser.call("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(page, width=1100, height=760)
        browser.wait_for("document.querySelector('#lanes rect') !== null")
        browser.evaluate(f"document.getElementById('explorer').scrollIntoView(); {seek}")
        browser.wait_for("(film => film.currentTime === 10 && film.readyState === 4)(document.getElementById('film'))")
        browser.screenshot(picture)


def main() -> None:
    """Write both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        printed = record_demo(Path(folder))
        (IMAGES / "demo.svg").write_text(draw_terminal(printed), encoding="utf-8")
        report = Path(folder, "asl-kit-demo", "report.html")
        photograph_report(report, IMAGES / "report.png", Path(folder, "profile"))


if __name__ == "__main__":
    main()
