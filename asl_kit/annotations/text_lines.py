"""The lines of text files: those that state something, and lines that a backslash joins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from asl_kit.annotations.collector import read_text
from asl_kit.errors import AnnotationError


def numbered_lines(path: Path, *, required: str = "") -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is not blank, without surrounding spaces.

    Parameters
    ----------
    path : Path
        The file; errors are those of `asl_kit.annotations.collector.read_text`.
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
