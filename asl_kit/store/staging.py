"""Whole or not at all: work under a temporary name, then one atomic rename.

Each piece of work has a folder ``tmp/<host>-<pid>-<random>/`` of its own, on
the store's file system and outside ``videos/``. What a killed process left is
removed by whoever opens the store for writing next. A writer on another host
cannot be asked whether it lives; its folder is taken for dead after
`STALE_AFTER_S`. If that was wrong, its rename fails and it writes again:
clearing moves a folder away whole before it removes it, so that half a video
is never published.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STALE_AFTER_S = 3600.0

_NAME = re.compile(r"(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{16}(?P<doomed>\.doomed)?")


@contextmanager
def staging_folder(temporary: Path) -> Iterator[Path]:
    """Yield a new folder below `temporary` that belongs to this process; removed at the end, if it is still there.

    Parameters
    ----------
    temporary : Path
        The store's ``tmp`` folder; made if absent.
    """
    folder = temporary / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Path) -> bool:
    """Flush a folder of files to the disk and rename it to `target`.

    Returns
    -------
    bool
        False if a Zarr node is at `target` already; `folder` is then left as it is.
    """
    for path in sorted(folder.iterdir()):
        sync(path)
    sync(folder)
    try:
        folder.rename(target)
    except OSError:
        if (target / "zarr.json").is_file():
            return False
        raise
    sync(target.parent)
    return True


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_stale(temporary: Path) -> None:
    """Remove what dead writers left below `temporary`; leave alone what a living one may still need."""
    try:
        names = [path.name for path in temporary.iterdir()]
    except FileNotFoundError:
        return
    if not names:
        return
    with staging_folder(temporary) as own:
        now_s = own.stat().st_mtime  # the file server's clock, which dates the others too
        for name in names:
            folder = temporary / name
            owner = _NAME.fullmatch(name)
            try:
                if owner is None:
                    continue  # none of ours
                if not owner["doomed"]:
                    if (
                        not _is_dead(owner["host"], int(owner["pid"]))
                        and now_s - folder.stat().st_mtime < STALE_AFTER_S
                    ):
                        continue
                    folder = folder.rename(f"{folder}.doomed")
                shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue  # its owner, or another process that clears, was faster


def _is_dead(host: str, pid: int) -> bool:
    """Say whether a process is known to have ended."""
    if host != socket.gethostname() or sys.platform == "win32":  # there, os.kill would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
