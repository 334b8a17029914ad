"""README's commands: those for own videos and the demo are run here, installation and tests by .ci/run."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.readme import block, own_commands, write_own_videos

ROOT = Path(__file__).parents[2]


def test_own_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_own_videos(tmp_path)
    for arguments in own_commands("own"):
        result = run(*arguments)
        assert result.exit_code == 0, f"{shlex.join(arguments)}\n{result.output}"
    assert "new" in json.loads(Path("detections.json").read_text(encoding="utf-8"))["results"]
    shutil.copytree("scores", "baseline")
    for arguments in own_commands("look"):
        result = run(*arguments)
        assert result.exit_code == 0, f"{shlex.join(arguments)}\n{result.output}"
    assert "clip2.mp4" in Path("report.html").read_text(encoding="utf-8")


def test_the_test_command_is_that_of_ci() -> None:
    install, test = block("test").split(" && ")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert f'{test} -m "slow or not gpu"' in script
    assert any(line.startswith("python -m pip install") and "--editable '.[dev" in line for line in script)
    assert install == "pip install -e '.[dev]'"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_demo(tmp_path: Path) -> None:
    """The demo succeeds, finds actions in videos that it never saw, and ends as README's picture shows."""
    assert block("demo").endswith(" && asl-kit demo")
    command = [sys.executable, "-m", "asl_kit", "demo", "--json", "demo.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:])  # noqa: T201 - shown by pytest when the test fails
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))
    assert result["scores"]["split"] == "test"
    assert result["scores"]["mAP"][result["scores"]["tiou"].index(0.5)] >= 0.60
    verified = run("store", "verify", tmp_path / "asl-kit-demo" / "features.zarr")
    assert verified.exit_code == 0, verified.output
    picture = (ROOT / "docs" / "images" / "demo.svg").read_text(encoding="utf-8")
    recorded = html.unescape(" ".join(re.findall(r"<text[^>]*>(.*?)</text>", picture)))
    differing = words(recorded.partition("...")[2]) ^ words(done.stdout.partition("result ─")[2])
    assert differing <= {"nothing"}, "run python docs/site/sample_output.py"


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]{2,}", text))
