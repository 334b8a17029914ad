"""A folder at an address, which is only read: what `pathlib.Path` offers, as far as a feature store needs it."""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asl_kit.remote.access import list_names, read_all
from asl_kit.remote.address import Address, Place, path_or_address
from asl_kit.remote.faults import RemoteFault


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder or a file at an address. The methods are those of `Path`; they also raise `RemoteFault`."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)

    def __truediv__(self, name: str) -> RemoteFolder:
        return RemoteFolder(self.address / name)

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.name

    def read_bytes(self) -> bytes:
        """Return the content of a file."""
        try:
            return read_all(self.address)
        except RemoteFault as fault:
            if fault.is_missing:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from fault
            raise

    def iterdir(self) -> Iterator[RemoteFolder]:
        """Yield what is in a folder of a bucket; a web server does not list it."""
        for name in list_names(self.address, deep=False):
            yield self / name

    def glob(self, pattern: str) -> Iterator[RemoteFolder]:
        """Yield what is in this folder, not deeper, and fits a pattern; nothing if there is no such folder."""
        try:
            yield from (path for path in self.iterdir() if fnmatch.fnmatch(path.name, pattern))
        except RemoteFault as fault:
            if not fault.is_missing:
                raise


AnyFolder = Path | RemoteFolder


def open_folder(place: Place | RemoteFolder) -> AnyFolder:
    """Return the folder at a path or an address; raises `UsageError` for an unknown kind of address."""
    if isinstance(place, RemoteFolder):
        return place
    found = path_or_address(place)
    return RemoteFolder(Address(found.url.rstrip("/"))) if isinstance(found, Address) else found
