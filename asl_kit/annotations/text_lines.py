"""Text files, and their lines: those that state something, and lines that a backslash joins."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from asl_kit.base.files import read_bytes
from asl_kit.base.foreign_files import refuse_foreign
from asl_kit.errors import AnnotationError


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark, or in UTF-16 with a byte order mark.

    Its lines end with a line feed, however they do in the file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is not such text.
    """
    data = read_bytes(path)
    refuse_foreign(path, data, "a text file", AnnotationError)
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not UTF-8 text: {error}", hint="Save the file as UTF-8.") from None


def numbered_lines(path: Path, *, required: str = "") -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is not blank, without surrounding spaces.

    Parameters
    ----------
    path : Path
        The file; errors are those of `read_text`.
    required : str
        What a line holds, if there must be one.

    Raises
    ------
    AnnotationError
        If there must be a line and there is none.
    """
    is_empty = True
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if stripped := line.strip():
            is_empty = False
            yield number, stripped
    if required and is_empty:
        raise AnnotationError(f"{path}: empty; expected lines `{required}`")


def whole_lines(lines: Sequence[str], *, start: int, joint: str) -> Iterator[tuple[int, str]]:
    r"""Yield numbered lines, joined where a backslash precedes the line feed.

    Parameters
    ----------
    lines : sequence of str
        The lines; one that ends with an even number of backslashes ends with backslashes of its text.
    start : int
        Number of the first line.
    joint : str
        Takes the place of the backslash and the line feed.

    Examples
    --------
    >>> list(whole_lines(["a\\", "b", "c\\\\", "d"], start=1, joint=" "))
    [(1, 'a b'), (3, 'c\\\\'), (4, 'd')]
    """
    first, whole = start, ""
    for number, line in enumerate(lines, start=start):
        whole += line
        if (len(line) - len(line.rstrip("\\"))) % 2 and number - start + 1 < len(lines):
            whole = whole[:-1] + joint
            continue
        yield first, whole
        first, whole = number + 1, ""
