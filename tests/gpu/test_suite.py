"""The GPU suite runs where there is no GPU, in small, and says which targets were missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gpu.suite import SECTIONS, link_ffmpeg, make_table

SUITE = Path(__file__).with_name("suite.py")


def make_result(status: str = "done", **changes: Any) -> dict[str, Any]:
    measure = {"what": "ratio", "value": 0.8, "unit": "", "at_least": None, "at_most": None} | changes
    return {"section": "limits", "status": status, "seconds": 1.5, "measures": [measure]}


@pytest.mark.parametrize(
    ("result", "passed", "line"),
    [
        (make_result(), True, "| limits | ratio | 0.8 |  |"),
        (make_result(unit="GB/s"), True, "| limits | ratio | 0.8 GB/s |  |"),
        (make_result(at_least=0.8), True, "| limits | ratio | 0.8 | at least 0.8: met |"),
        (make_result(at_least=0.85), False, "| limits | ratio | 0.8 | at least 0.85: **missed** |"),
        (make_result(at_most=0.4), False, "| limits | ratio | 0.8 | at most 0.4: **missed** |"),
        (make_result(value="H200"), True, "| limits | ratio | H200 |  |"),
        (make_result("stopped after 40 s"), False, "| limits | stopped after 40 s | 1.5 s | |"),
    ],
)
def test_table(result: dict[str, Any], passed: bool, line: str) -> None:
    table, found = make_table([result])
    assert found is passed
    assert line in table.splitlines()


def test_torchcodec_finds_the_ffmpeg_of_pyav(tmp_path: Path) -> None:
    pytest.importorskip("torchcodec")
    import av

    libraries = Path(av.__file__).parents[1] / "av.libs"
    folders = link_ffmpeg(libraries, tmp_path / "ffmpeg")
    code = "import torchcodec; print([line.split()[-1] for line in open('/proc/self/maps') if 'libavcodec' in line][0])"
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(folders)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).parent.resolve() == libraries.resolve()


@pytest.mark.slow
def test_all_sections_run_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, str(SUITE), "--out", str(tmp_path), "--device", "cpu", "--small"]
    process = subprocess.run(command, capture_output=True, text=True)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [(result["section"], result["status"]) for result in results] == [(s.name, "done") for s in SECTIONS]
    assert process.returncode == 0, process.stdout
    assert (tmp_path / "table.md").read_text() in process.stdout
