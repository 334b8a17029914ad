"""Names of numbered images, as of the frames of a video: ``frame_0000000001.jpg``."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

IMAGE_KINDS = {".bmp": "BMP", ".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".webp": "WebP"}
"""Kinds of images by suffix, in lower case."""

TAR_SUFFIXES = (".tar", ".tar.bz2", ".tar.gz", ".tar.xz", ".tbz2", ".tgz", ".txz")
"""Suffixes of tar archives; only the first kind can be read in place."""

_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)


def image_kind(name: str) -> str | None:
    """Return the kind of an image by its name's suffix; None: it is no image, or hidden."""
    return None if is_hidden(name) else IMAGE_KINDS.get(PurePosixPath(name).suffix.lower())


def is_hidden(name: str) -> bool:
    """Return whether a file is one of those that systems and programs leave in folders unseen."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


def split_number(name: str) -> tuple[str, int] | None:
    """Return what comes before the number at the end of an image's name, and the number; None: there is no number.

    Examples
    --------
    >>> split_number("frame_0010.jpg"), split_number("7.png"), split_number("cover.jpg")
    (('frame_', 10), ('', 7), None)
    """
    match = _NUMBERED.fullmatch(PurePosixPath(name).stem)
    return None if match is None else (match[1], int(match[2]))


def tar_stem(name: str) -> str | None:
    """Return the name of a tar archive without its suffix; None: it is no such archive.

    Examples
    --------
    >>> tar_stem("P01_01.tar.gz"), tar_stem("P01_01.mp4")
    ('P01_01', None)
    """
    suffix = next((suffix for suffix in TAR_SUFFIXES if name.lower().endswith(suffix)), None)
    return None if suffix is None else name[: -len(suffix)]


def image_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the images in a folder in bytes, by name.

    Raises
    ------
    OSError
        If the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if image_kind(entry.name) and entry.is_file()}
