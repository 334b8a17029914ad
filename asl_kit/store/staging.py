"""Atomic writes: write into a temporary folder, then publish it with one rename.

Each write uses its own folder ``tmp/<host>-<pid>-<random>/``, on the store's file
system and outside ``videos/``. The next process that opens the store for writing
removes the folders of killed processes. It cannot check whether a process on
another host is alive, so it treats that process's folder as abandoned after
`STALE_AFTER_S`. If the process was alive after all, its rename fails and it writes
again: a folder is renamed before it is removed, so half a video is never published.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE_AFTER_S = 3600.0

_ASIDE = ".aside"  # what `clear_stale` must not remove

_NAME = re.compile(r"(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{16}(?P<doomed>\.doomed)?")


@contextmanager
def staging_folder(temporary: Path) -> Iterator[Path]:
    """Yield a new folder in `temporary` for this process; remove it at the end, unless it was renamed.

    Parameters
    ----------
    temporary : Path
        The store's ``tmp`` folder; created if absent.
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
        False if `target` already holds a Zarr node; `folder` is then left unchanged.
    """
    _sync_files(folder)
    try:
        folder.rename(target)
    except OSError:
        if (target / "zarr.json").is_file():
            return False
        raise
    sync(target.parent)
    return True


def replace_folder(folder: Path, target: Path) -> None:
    """Flush a staging folder to the disk and put it in the place of `target`, which exists.

    No common file system can replace a folder with one rename. The old folder is first
    moved aside; if the process is killed before the new one is in its place, `restore`
    moves the old one back. The old folder ends up in the staging folder's place.
    """
    _sync_files(folder)
    aside = folder.with_name(folder.name + _ASIDE) / target.name
    aside.parent.mkdir()
    target.rename(aside)
    try:
        sync(aside.parent)
        folder.rename(target)
    except BaseException:
        with suppress(OSError):
            aside.rename(target)
        raise
    finally:
        with suppress(OSError):
            aside.rename(folder)
        with suppress(OSError):
            aside.parent.rmdir()
    sync(target.parent)


def restore(temporary: Path, targets: Path) -> None:
    """Move folders back that a killed process had moved aside; see `replace_folder`.

    A process that is just replacing a folder then fails, and tries again.

    Parameters
    ----------
    temporary : Path
        The store's ``tmp`` folder.
    targets : Path
        The folder that they were in.
    """
    for folder in temporary.glob(f"*{_ASIDE}"):
        with suppress(OSError):  # another process is faster, or the store is read-only
            for aside in list(folder.iterdir()):
                with suppress(OSError):  # the new one is in its place
                    aside.rename(targets / aside.name)
                if (targets / aside.name).exists():
                    shutil.rmtree(aside, ignore_errors=True)
            folder.rmdir()


def _sync_files(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_stale(temporary: Path) -> None:
    """Remove the folders of dead processes in `temporary`; keep those that a live process may still use."""
    try:
        names = [path.name for path in temporary.iterdir()]
    except FileNotFoundError:
        return
    if not names:
        return
    with staging_folder(temporary) as own:
        now_s = own.stat().st_mtime  # by the file server's clock, like the other folders' times
        for name in names:
            folder = temporary / name
            owner = _NAME.fullmatch(name)
            try:
                if owner is None:
                    continue  # not a staging folder
                if not owner["doomed"]:
                    if (
                        not _is_dead(owner["host"], int(owner["pid"]))
                        and now_s - folder.stat().st_mtime < STALE_AFTER_S
                    ):
                        continue
                    folder = folder.rename(f"{folder}.doomed")
                shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue  # its owner published it, or another process removed it


def _is_dead(host: str, pid: int) -> bool:
    """Return whether a process is known to have ended."""
    if host != socket.gethostname() or sys.platform == "win32":  # os.kill would end the process on Windows
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
