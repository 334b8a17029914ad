"""A process that reads files for this one: its answers, its faults, and that it takes nothing with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import is_running
from helpers.support import write_video

from asl_extract.decoders.probe import probe, read_header
from asl_kit.base.child_process import ReaderProcess
from asl_kit.errors import MissingFileError, VideoError


@pytest.fixture
def reader() -> Iterator[ReaderProcess]:
    with ReaderProcess(time_limit_s=30) as process:
        yield process
    assert active_children() == []


def test_the_same_answers_as_in_this_process(reader: ReaderProcess, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=20)
    assert reader.run(read_header, path) == read_header(path)
    assert reader.run(probe, path) == probe(path)


def test_the_same_faults(reader: ReaderProcess, tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_text("no video")
    for name, kind in (("b.mp4", VideoError), ("c.mp4", MissingFileError)):
        with pytest.raises(kind) as here:
            read_header(tmp_path / name)
        with pytest.raises(kind) as there:
            reader.run(read_header, tmp_path / name)
        assert (there.value.message, there.value.hint) == (here.value.message, here.value.hint)


# What a hostile file can do, done by functions that take a number in place of a path.
HARM: list[Any] = [
    pytest.param(signal.raise_signal, int(signal.SIGSEGV), r"crashed, signal 11 \(SIGSEGV\)", id="crash"),
    pytest.param(os._exit, 3, "crashed, exit code 3", id="exit"),
    pytest.param(time.sleep, 60, "not read within 1 s", id="stall"),
    pytest.param(bytearray, 8 * 2**30, "takes more than 4 GB of memory", id="memory"),
]


@pytest.mark.parametrize(("harm", "how_much", "message"), HARM)
def test_one_file_does_not_take_this_process_or_the_next_file(
    harm: Any, how_much: Any, message: str, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mp4", frames=20)
    with ReaderProcess(time_limit_s=1) as reader:
        with pytest.raises(VideoError, match=f"{how_much}: .*{message}"):
            reader.run(harm, how_much)
        reader._time_limit_s = 30
        assert reader.run(read_header, path) == read_header(path)
        (child,) = active_children()
    assert child.pid is not None
    assert not is_running(child.pid)


def test_a_process_that_died_idle_is_replaced(reader: ReaderProcess, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=20)
    expected = reader.run(read_header, path)
    (child,) = active_children()
    child.kill()
    child.join(10)
    assert reader.run(read_header, path) == expected


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_interrupts_do_not_reach_the_first_process_that_is_started(tmp_path: Path) -> None:
    """Multiprocessing's resource tracker, which starts with the first process, unblocks SIGINT."""
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from asl_kit.base.child_process import ReaderProcess\n"
        "if __name__ == '__main__':\n"
        "    with ReaderProcess() as reader:\n"
        "        print(reader.run(Path.read_text, Path('/proc/self/status')))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    (blocked,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("SigBlk:")]
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
