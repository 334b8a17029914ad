"""README's blocks, run: the one for users' own videos here, the demo in a slow test, the install by .ci/run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import write_video

from asl_kit.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

SMALLER = {
    "extract": ["--weights", "random", "--size", "64"],  # no weights can be downloaded where the tests run
    "train": ["--set", "optimizer.epochs=2", "--set", "model.width=16"],
}
"""Added to README's commands, to make them quick."""


def block(name: str) -> str:
    found = re.search(rf"<!-- run: {name} -->\n```bash\n(.*?)```", README, flags=re.DOTALL)
    assert found is not None
    return found[1].strip()


def test_own_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    rows = ["video,start,end,label,split,duration"]
    for number, split in enumerate(("train", "train", "test")):
        write_video(tmp_path / "videos" / f"clip{number}.mp4", frames=60, size=(96, 64))
        rows += [f"clip{number},0.5,2.5,run,{split},6.0", f"clip{number},3.0,5.5,jump,{split},6.0"]
    write_video(tmp_path / "videos" / "idle.mp4", frames=60, size=(96, 64))
    rows.append("idle,,,,train,6.0")
    (tmp_path / "segments.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_video(tmp_path / "new.mp4", frames=60, size=(96, 64))

    for line in block("own").splitlines():
        words = shlex.split(line)[1:]
        result = CliRunner().invoke(main, [*words, *SMALLER.get(words[0], [])])
        assert result.exit_code == 0, f"{line}\n{result.output}"
    assert "new" in json.loads(Path("detections.json").read_text(encoding="utf-8"))["results"]
    shutil.copytree("scores", "baseline")
    for line in block("look").splitlines():
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"
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
    verified = CliRunner().invoke(main, ["store", "verify", str(tmp_path / "demo" / "features.zarr")])
    assert verified.exit_code == 0, verified.output
