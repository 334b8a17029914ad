"""Files in ZIP archives, as annotation tools and spreadsheet programs write them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from asl_kit.errors import AnnotationError

_DAMAGED = (zipfile.BadZipFile, KeyError, OSError, RuntimeError, ValueError, zlib.error, EOFError)
"""What the standard library raises for archives that are damaged, encrypted or packed in unknown ways."""
_MAX_BYTES = 2**28
"""Largest size of a file, unpacked."""


def file_names(path: Path, *, what: str) -> list[str]:
    """Return the names of the files in an archive; parameters and errors are those of `read_file`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except _DAMAGED as error:
        raise AnnotationError(f"{path}: not {what}: {error}") from None


def read_file(path: Path, name: str, *, what: str) -> bytes:
    """Return the bytes of a file in an archive.

    Parameters
    ----------
    path : Path
        The archive.
    name : str
        The file in it.
    what : str
        What the archive must be, for messages.

    Raises
    ------
    AnnotationError
        If it is no archive, has no such file, or the file is larger than 256 MiB.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            data = file.read(_MAX_BYTES + 1)
    except _DAMAGED as error:
        raise AnnotationError(f"{path}: not {what}: {error}") from None
    if len(data) > _MAX_BYTES:
        raise AnnotationError(f"{path}: {name} in it is larger than {_MAX_BYTES >> 20} MiB")
    return data
