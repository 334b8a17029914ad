"""Writing to what is no file: a device or a pipe must never be replaced by a file of its name."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from asl_kit.base.files import write_text


def test_a_pipe_receives_the_text(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(pipe, "scores")
    reader.join(timeout=10)
    assert found == ["scores"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_an_open_file_of_the_system_receives_the_text(tmp_path: Path) -> None:
    for system_path in ("/dev/fd", "/proc/self/fd"):
        with (tmp_path / "open").open("w") as file:
            write_text(Path(system_path, str(file.fileno())), system_path)
        assert (tmp_path / "open").read_text() == system_path


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        write_text(device, "scores")
    except OSError:  # only root may make devices, and some file systems do not allow to open them
        pytest.skip("devices cannot be made here")
    assert stat.S_ISCHR(device.stat().st_mode)
    assert list(tmp_path.iterdir()) == [device]
