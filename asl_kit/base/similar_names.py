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
