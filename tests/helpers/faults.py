"""Disks that are full or read-only, for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def full_disk(limit_bytes: int = 0) -> Iterator[None]:
    """Limit the size of every file that this process writes; the system enforces it, in Python and in C alike."""
    resource = pytest.importorskip("resource")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only: by permissions, or for root, who ignores them, by a read-only mount."""
    if os.geteuid():
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    place = str(folder)
    try:
        for options in (["--bind", place, place], ["-o", "remount,bind,ro", place]):
            if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
                pytest.skip("root may write everywhere, and may not mount here")
        yield
    finally:
        subprocess.run(["umount", place], capture_output=True, check=False)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """Put a file system of that size in the place of a folder; skip where this user may not mount."""
    options = ["-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=False)
