"""The identity of a file: its size, and a hash of samples of its content; also of a folder of images.

Of a file at an address the samples are read alone, unless the server says that it has not changed.

Samples keep the cost low, whatever the size (tests/benchmarks/source_identity.py). They
show that another file has taken the place of the first one, because that differs nearly
everywhere. An edit of a few bytes of a large file may go unnoticed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from asl_kit.base.image_names import image_sizes
from asl_kit.errors import FeatureError
from asl_kit.remote.address import Address
from asl_kit.remote.faults import RemoteFacts

BLOCK_BYTES = 32 * 1024
MAX_BLOCKS = 16


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Identifies the content of a file."""

    size_bytes: int
    """Size of the file."""
    blake2b: str
    """BLAKE2b, 16 bytes in hexadecimal, of the size and of at most `MAX_BLOCKS` evenly spaced blocks."""
    path: str = field(compare=False)
    """Where the file was; a note, never compared."""
    modified_s: float = field(compare=False)
    """When it was modified last, in seconds since 1970 UTC; a note, never compared."""
    version: str = field(default="", compare=False)
    """What the server of an address calls this content: its ETag, or when it was changed; empty: not stated."""

    @classmethod
    def of(cls, path: Path | Address, recorded: FileIdentity | None = None) -> FileIdentity:
        """Read the identity of a file, or of a folder of images: their names, their sizes and parts of some.

        Parameters
        ----------
        path : Path or Address
            The file or folder.
        recorded : FileIdentity, optional
            Returned if the server at an address says that the file is still this one.

        Raises
        ------
        OSError
            If it is neither a regular file nor a folder of images, or cannot be read; or if a server sends whole files
            only.
        """
        if isinstance(path, Address):
            return cls._at(path, recorded)
        if path.is_dir():
            return cls._of_images(path)
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise OSError(f"{path}: not a regular file")
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            starts = _block_starts(found.st_size)
            if hasattr(os, "posix_fadvise"):  # a disk reads all blocks in half the time that one after the other takes
                for start in starts:
                    os.posix_fadvise(file.fileno(), start, BLOCK_BYTES, os.POSIX_FADV_WILLNEED)
            blocks = (os.pread(file.fileno(), BLOCK_BYTES, start) for start in starts)
            return cls.of_blocks(blocks, size_bytes=found.st_size, path=str(path), modified_s=found.st_mtime)

    @classmethod
    def of_blocks(cls, blocks: Iterable[bytes], *, size_bytes: int, path: str, modified_s: float) -> FileIdentity:
        """Return the identity of what consists of `size_bytes`, of which `blocks` are samples."""
        digest = hashlib.blake2b(str(size_bytes).encode(), digest_size=16)
        for block in blocks:
            digest.update(block)
        return cls(size_bytes, digest.hexdigest(), path, modified_s)

    @classmethod
    def _of_images(cls, folder: Path) -> FileIdentity:
        sizes = sorted(image_sizes(folder).items())
        if not sizes:
            raise OSError(f"{folder}: a folder without images")
        names = "".join(f"{name}\0{size}\0" for name, size in sizes).encode(errors="surrogateescape")
        count = min(MAX_BLOCKS, len(sizes))
        chosen = [sizes[(len(sizes) - 1) * number // max(1, count - 1)] for number in range(count)]
        blocks = (_middle(folder / name, size) for name, size in chosen)
        return cls.of_blocks(
            chain([names], blocks),
            size_bytes=sum(size for _, size in sizes),
            path=str(folder),
            modified_s=folder.stat().st_mtime,
        )

    @classmethod
    def _at(cls, address: Address, recorded: FileIdentity | None) -> FileIdentity:
        from asl_kit.remote.access import read_facts, read_part

        facts = read_facts(address)
        if recorded is not None and recorded._is_at(address, facts):
            return recorded
        if facts.size_bytes is None or not facts.has_parts:
            raise OSError(f"{address}: the server sends whole files only")
        size = facts.size_bytes
        blocks = (read_part(address, start, min(start + BLOCK_BYTES, size)) for start in _block_starts(size))
        found = cls.of_blocks(blocks, size_bytes=size, path=str(address), modified_s=facts.modified_s)
        return replace(found, version=facts.version)

    def _is_at(self, address: Address, facts: RemoteFacts) -> bool:
        """Whether this was read from that address, and the server says that the file has not changed."""
        same = self.path == str(address) and self.version == facts.version
        return same and bool(self.version) and facts.size_bytes in (None, self.size_bytes)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> FileIdentity:
        """Return the identity for what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError, OverflowError
            If a field is missing or of the wrong type.
        """
        return cls(
            size_bytes=int(fields["size_bytes"]),
            blake2b=str(fields["blake2b"]),
            path=str(fields["path"]),
            modified_s=float(fields["modified_s"]),
            version=str(fields.get("version", "")),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields, JSON-ready; without `version` if there is none."""
        return {name: value for name, value in asdict(self).items() if name != "version" or value}


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """A file compared with the record of the file that a stored video was made from."""

    state: Literal["same", "changed", "unknown"]
    """Result; `unknown`: they cannot be compared."""
    reason: str = ""
    """What differs, or why they cannot be compared."""


def check_source(recorded: FileIdentity | None, read: Callable[[FileIdentity], FileIdentity]) -> SourceCheck:
    """Compare a file with a store's record.

    Parameters
    ----------
    recorded : FileIdentity, optional
        What the store records; None: nothing.
    read : callable
        Returns the identity of the file that belongs to the video now, given the recorded one.
    """
    if recorded is None:
        return SourceCheck("unknown", "the store does not record which file they were made from")
    try:
        found = read(recorded)
    except (OSError, FeatureError):
        return SourceCheck("unknown", "the file cannot be read")
    if found == recorded:
        return SourceCheck("same")
    content = (
        "with other content"
        if found.size_bytes == recorded.size_bytes
        else f"of {recorded.size_bytes} bytes, this one has {found.size_bytes}"
    )
    place = "" if recorded.path == found.path else f", {recorded.path}"
    return SourceCheck("changed", f"{found.path}: the stored features were made from another file{place}, {content}")


def _middle(path: Path, size: int) -> bytes:
    """Return the middle of a file: all images of a series may begin alike."""
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, (size - BLOCK_BYTES) // 2))
        return file.read(BLOCK_BYTES)


def _block_starts(size_bytes: int) -> list[int]:
    """Return where blocks start: all blocks of a small file, else evenly spaced ones with the first and the last."""
    if size_bytes <= MAX_BLOCKS * BLOCK_BYTES:
        return list(range(0, size_bytes, BLOCK_BYTES))
    return [(size_bytes - BLOCK_BYTES) * number // (MAX_BLOCKS - 1) for number in range(MAX_BLOCKS)]
