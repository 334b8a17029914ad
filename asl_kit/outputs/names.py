"""File names made of ids and labels: valid on every system, and unique."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar

from asl_kit.detections.table import Detection

_Thing = TypeVar("_Thing", str, Detection)

_MAX_BYTES = 200  # of 255, which leaves room for a suffix
_REFUSED = re.compile(r'[\x00-\x1f\x7f<>:"\\|?*]+')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(?![^.])", re.IGNORECASE)


def safe_part(text: str, max_bytes: int = _MAX_BYTES) -> str:
    r"""Return text as a name of a file or folder that is valid on Windows too.

    Invalid characters become ``_``, names of devices get one appended, and no name ends with a dot or space.

    Examples
    --------
    >>> safe_part("what?.v2"), safe_part("con.1"), safe_part("take 1. "), safe_part("console")
    ('what_.v2', 'con_.1', 'take 1', 'console')
    """
    text = _REFUSED.sub("_", text.encode(errors="replace").decode())
    text = text.encode()[:max_bytes].decode(errors="ignore").strip(" ").rstrip(" .")
    return _DEVICE.sub(r"\1_", text) if _DEVICE.match(text) else text or "_"


def safe_path(video_id: str) -> str:
    """Return an id as a relative path, with its folders, that never leads out of the folder.

    Examples
    --------
    >>> safe_path("monday/clip"), safe_path("/../aux/clip")
    ('monday/clip', 'aux_/clip')
    """
    return "/".join(safe_part(part) for part in video_id.split("/") if part not in ("", ".", "..")) or "_"


def unique_names(things: Iterable[_Thing], name: Callable[[_Thing], str]) -> dict[_Thing, str]:
    """Return a name for each of several ids or detections, numbered if two names could be the same file.

    Those are equal names, names that differ in case (on Windows and macOS), and names that differ in the Unicode
    form of an accented letter (on macOS). The result does not depend on their order.

    Examples
    --------
    >>> unique_names(["a", "A", "b"], safe_part)
    {'A': 'A', 'a': 'a_2', 'b': 'b'}
    """
    names: dict[_Thing, str] = {}
    taken: set[str] = set()
    for thing in sorted(set(things)):
        plain = chosen = name(thing)
        number = 1
        while _compared(chosen) in taken:
            number += 1
            chosen = f"{plain}_{number}"
        taken.add(_compared(chosen))
        names[thing] = chosen
    return names


def _compared(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
