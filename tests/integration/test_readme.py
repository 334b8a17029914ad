"""README's blocks, run: the one for users' own videos here, the demo in a slow test, the install by .ci/run."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.readme import block, own_commands, write_own_videos


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


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_demo(tmp_path: Path) -> None:
    """The demo ends well and finds actions in videos that it never saw."""
    last = block("demo").split("&&")[-1].strip()
    assert last == ".venv/bin/asl-kit demo"
    command = [sys.executable, "-m", "asl_kit", "demo", "--out", str(tmp_path / "demo"), "--json", str(tmp_path / "j")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:])  # noqa: T201 - shown by pytest when the test fails
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "j").read_text(encoding="utf-8"))
    assert result["scores"]["split"] == "test"
    assert result["scores"]["mAP"][result["scores"]["tiou"].index(0.5)] >= 0.60
    verified = run("store", "verify", tmp_path / "demo" / "features.zarr")
    assert verified.exit_code == 0, verified.output
