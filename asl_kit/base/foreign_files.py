"""Files that are packed, or hold something else than the file that was meant to be downloaded."""

from __future__ import annotations

import codecs
import re

from asl_kit.errors import AslKitError

_STARTS = {
    b"\x1f\x8b": ("a gzip archive", "Unpack it, for example with gunzip."),
    b"PK\x03\x04": ("a ZIP archive", "Unpack it."),
    b"version https://git-lfs": ("a pointer of Git LFS", "Get the file itself: git lfs pull."),
}
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)
_PAGE_HINT = "Download the file itself: the server sent a page, perhaps an error or a form to sign in."


def refuse_foreign(path: object, data: bytes, expected: str, error: type[AslKitError]) -> None:
    """Raise an error if data are those of an archive, a web page or a pointer of Git LFS.

    Parameters
    ----------
    path : object
        The file, for the message.
    data : bytes
        Its content, or the first part of it.
    expected : str
        What it must be, for the message: ``a JSON file``.
    error : type
        The error.

    Raises
    ------
    error
        If it is something else; it says what to do.
    """
    found = next((found for start, found in _STARTS.items() if data.startswith(start)), None)
    if found is None and _PAGE.match(data.removeprefix(codecs.BOM_UTF8)):
        found = ("a web page (HTML)", _PAGE_HINT)
    if found is not None:
        raise error(f"{path}: {found[0]}, expected {expected}", hint=found[1])
