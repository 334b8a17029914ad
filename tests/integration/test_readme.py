"""README's commands: those for own videos are run here, the demo beside the quick start, the rest by .ci/run."""

from __future__ import annotations

import json
import shlex
import shutil
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
