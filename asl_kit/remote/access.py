"""Reading files at addresses: what fails for a moment is tried again, what fails for good is said at once."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeVar

from asl_kit.base.files import name_write_errors
from asl_kit.errors import MissingDependencyError
from asl_kit.remote.address import BUCKETS, Address
from asl_kit.remote.faults import RemoteFacts, RemoteFault

ATTEMPTS = 5
"""Attempts in a row that bring less than `_PROGRESS_BYTES`, before reading fails."""

SILENCE_S = 30.0
"""A server that sends nothing for so long is asked again."""

FIRST_WAIT_S = 0.5
"""Time before the second attempt; doubled before each later one."""

_PROGRESS_BYTES = 2**20
_TRY_LATER = "run the same command again when the server can be reached"

Result = TypeVar("Result")


class StoppedError(Exception):
    """The caller does not want the file any more."""


class _Files(Protocol):
    def facts(self, address: Address) -> RemoteFacts: ...

    def stream(
        self, address: Address, start: int
    ) -> AbstractContextManager[tuple[RemoteFacts, int, Iterator[bytes]]]: ...

    def read(self, address: Address, start: int, stop: int) -> bytes: ...

    def read_all(self, address: Address) -> bytes: ...

    def names(self, address: Address, *, deep: bool) -> list[str]: ...


def check_packages(addresses: Iterable[Address]) -> None:
    """Raise MissingDependencyError if a package is missing that these addresses need."""
    for scheme in {address.scheme for address in addresses} & BUCKETS.keys():
        try:
            importlib.import_module(BUCKETS[scheme])
        except ImportError as fault:
            raise MissingDependencyError(
                f"{scheme}:// needs the package {BUCKETS[scheme]}, which cannot be imported: {fault}",
                hint="pip install 'asl-kit[remote]'",
            ) from fault


def read_facts(address: Address, *, silence_s: float = SILENCE_S) -> RemoteFacts:
    """Return what the server says about a file; raises `RemoteFault`."""
    return _retry(lambda: _files(address, silence_s).facts(address))


def read_part(address: Address, start: int, stop: int) -> bytes:
    """Return the bytes from `start` to `stop` of a file; raises `RemoteFault`."""
    return _retry(lambda: _files(address, SILENCE_S).read(address, start, stop))


def read_all(address: Address) -> bytes:
    """Return the content of a file; raises `RemoteFault`."""
    return _retry(lambda: _files(address, SILENCE_S).read_all(address))


def list_names(address: Address, *, deep: bool) -> list[str]:
    """Return the names of what is in a folder of a bucket, sorted; with `deep` of all files below it.

    Raises
    ------
    RemoteFault
        If it cannot be listed.
    """
    return _retry(lambda: _files(address, SILENCE_S).names(address, deep=deep))


def download(
    address: Address,
    target: Path,
    *,
    reserve: Callable[[int], None] = lambda size_bytes: None,
    stop: threading.Event | None = None,
    silence_s: float = SILENCE_S,
) -> RemoteFacts:
    """Write a file to `target`; after a break, go on where it broke off if the server allows, else begin anew.

    Parameters
    ----------
    address : Address
        The file.
    target : Path
        Where to write it; if that fails, a part of it is there.
    reserve : callable
        Called with the size that the file has or will have, before so much is written; may wait, or raise.
    stop : Event, optional
        Set by another thread that does not want the file any more.
    silence_s : float
        A server that sends nothing for so long is asked again.

    Returns
    -------
    RemoteFacts
        What the server says about what was written.

    Raises
    ------
    RemoteFault
        If the file cannot be read.
    OutputError
        If it cannot be written.
    StoppedError
        If the caller has stopped it.
    """
    stop = stop or threading.Event()
    files = _files(address, silence_s)
    known: RemoteFacts | None = None
    failures = furthest = 0
    with target.open("wb", buffering=0) as file:
        while True:
            before = file.tell()
            try:
                # Without a version it is not known whether the rest belongs to the same file.
                with files.stream(address, before if known is not None and known.version else 0) as (
                    facts,
                    start,
                    chunks,
                ):
                    known = _place(file, start, known, facts)
                    for chunk in chunks:
                        if stop.is_set():
                            raise StoppedError
                        reserve(max(file.tell() + len(chunk), facts.size_bytes or 0))
                        _write(file, chunk, target)
                if facts.size_bytes not in (None, done := file.tell()):
                    raise RemoteFault(f"it broke off after {done} of {facts.size_bytes} bytes", is_temporary=True)
                return facts
            except RemoteFault as fault:
                failures = 1 if file.tell() - furthest >= _PROGRESS_BYTES else failures + 1
                furthest = max(furthest, file.tell())
                _wait_or_raise(fault, failures, stop)


def _place(file: FileIO, start: int, known: RemoteFacts | None, facts: RemoteFacts) -> RemoteFacts:
    """Go to where an answer starts; begin anew if it is another file than the answer before."""
    is_same = known is None or (
        known.version == facts.version
        and (known.size_bytes or facts.size_bytes) == (facts.size_bytes or known.size_bytes)
    )
    if start not in (0, file.tell()) or (start and not is_same):
        file.seek(0)
        file.truncate()
        raise RemoteFault("it was replaced while it was read", is_temporary=True)
    file.seek(start)
    file.truncate()
    return facts


def _write(file: FileIO, chunk: bytes, target: Path) -> None:
    view = memoryview(chunk)
    with name_write_errors(target):
        while view:
            view = view[file.write(view) :]


def _retry(read: Callable[[], Result]) -> Result:
    never = threading.Event()
    failures = 0
    while True:
        try:
            return read()
        except RemoteFault as fault:
            failures += 1
            _wait_or_raise(fault, failures, never)


def _wait_or_raise(fault: RemoteFault, failures: int, stop: threading.Event) -> None:
    """Wait before the next attempt, or raise why there is none."""
    if not fault.is_temporary:
        raise fault
    if failures >= ATTEMPTS:
        raise RemoteFault(f"{fault.reason}, in {failures} attempts", hint=fault.hint or _TRY_LATER) from fault
    if stop.wait(max(fault.wait_s, FIRST_WAIT_S * 2 ** (failures - 1))):
        raise StoppedError


def _files(address: Address, silence_s: float) -> _Files:
    check_packages([address])
    if address.scheme in BUCKETS:
        from asl_kit.remote.buckets import BucketFiles

        return BucketFiles(silence_s)
    from asl_kit.remote.web import WebFiles

    return WebFiles(silence_s)
