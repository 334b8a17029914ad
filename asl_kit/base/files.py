"""Reading JSON and TOML, writing files atomically, and checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from asl_kit.base.foreign_files import refuse_foreign
from asl_kit.errors import AslKitError, MissingFileError, OutputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` on success and deleted on failure.

    Parent folders are created. The data is flushed to the disk before the rename,
    so that after a crash `path` is either the old file or the complete new one.
    A device or a pipe, such as ``/dev/stdout``, is written to instead of being replaced.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with name_write_errors(path):
        if _is_device_or_pipe(path):
            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder, path.name)
                yield temporary
                with temporary.open("rb") as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _is_device_or_pipe(path: Path) -> bool:
    """Return whether a path is neither a file nor a folder, or a link of the system to an open file."""
    if path.is_symlink() and path.parent.resolve().parts[:2] in (("/", "dev"), ("/", "proc")):
        return True  # /dev/stdout or /dev/fd/1, perhaps redirected to a file
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def name_write_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` into an error that names the file, which the `OSError` may not do.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        yield
    except OSError as exception:
        if isinstance(exception, AslKitError):
            raise
        full = exception.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OutputError(
            f"{path}: cannot be written: {exception.strerror or exception}",
            hint="free some space and run the same command again" if full else None,
        ) from exception


def write_text(path: Path, text: str, *, errors: str = "strict") -> None:
    """Write UTF-8 text atomically; `errors` as in `open`."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=errors, newline="\n")


class Readable(Protocol):
    """A path, or what can be read like one; as text it names itself."""

    def read_bytes(self) -> bytes:
        """Return the content; raises `OSError`."""


def read_json(path: Readable, error: type[AslKitError]) -> Any:
    """Read a JSON file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    error
        If the file is not UTF-8 JSON, or an object has a duplicate key; the message names the place.
    """
    data = read_bytes(path)
    refuse_foreign(path, data, "a JSON file", error)
    try:
        text = data.decode(json.detect_encoding(data))  # json.loads of bytes would accept half a surrogate pair
        document = json.loads(text, object_pairs_hook=_unique_keys)
        if "\\ud" in text or "\\uD" in text:  # the same as an escape: it can be read, but not written again
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except (ValueError, RecursionError) as exception:  # not UTF-8, not JSON, or an integer of thousands of digits
        raise error(f"{path}: not a JSON file: {exception}") from exception
    except _DuplicateKeyError as exception:
        raise error(
            f"{path}: the key {exception.args[0]!r} appears twice in one object", hint="Keep one of the two."
        ) from None


def read_toml(path: Path, error: type[AslKitError]) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    error
        If the file is not UTF-8 TOML; the message names the place.
    """
    data = read_bytes(path)
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exception:  # not UTF-8, not TOML, or nested too deeply
        raise error(f"{path}: not a TOML file: {exception}") from exception


def read_bytes(path: Readable) -> bytes:
    """Return the content of a file.

    Raises
    ------
    MissingFileError
        If there is no such file, or it is a folder.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise MissingFileError(f"{path}: no such file: it is a folder") from None


class _DuplicateKeyError(Exception):
    """A duplicate key: the standard library would keep the last value and drop the others silently."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(next(key for key in keys if keys.count(key) > 1))
    return fields


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock a file, which is made if need be, until the context ends; yield whether no other process has locked it.

    The system ends the lock of a process that ends. Where there are no such locks (Windows, some network file
    systems), nobody is locked out.

    Raises
    ------
    OutputError
        If the file cannot be made.
    """
    with name_write_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        is_free = True
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_free = False
        except (ImportError, OSError):
            pass
        yield is_free


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
