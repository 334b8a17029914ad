"""Names that people spell in several ways: which ones look alike, and which one was probably meant."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable


def fold(name: str) -> str:
    """Return a name without the differences that people overlook: case, spaces, underscores, and encoding of accents.

    Examples
    --------
    >>> fold("DRINKING COFFEE") == fold("drinking_coffee")
    True
    """
    return unicodedata.normalize("NFC", re.sub(r"[\s_]+", "", name).casefold())


def close_matches(name: str, known: Iterable[str], *, n: int = 1) -> list[str]:
    """Return up to `n` known names that are most like a name, best first, ignoring what `fold` ignores.

    Examples
    --------
    >>> close_matches("DRINKING COFFEE", ["drinking_tea", "drinking_coffee"])
    ['drinking_coffee']
    """
    spellings: dict[str, list[str]] = {}
    for other in known:
        spellings.setdefault(fold(other), []).append(other)
    close = difflib.get_close_matches(fold(name), spellings, n=n)
    return [other for folded in close for other in spellings[folded]][:n]


def one_letter_from(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that differs in one letter, in two that are swapped, or in what `fold` ignores.

    Examples
    --------
    >>> one_letter_from("annotation", ["annotations"]), one_letter_from("id", ["fps"])
    ('annotations', None)
    """
    return next((other for other in known if other != name and _is_one_edit(fold(name), fold(other))), None)


def _is_one_edit(one: str, other: str) -> bool:
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    swapped = len(one) > 1 and one[1::-1] + one[2:] == other
    return one == other or one[1:] == other or one == other[1:] or one[1:] == other[1:] or swapped
