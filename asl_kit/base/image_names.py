"""Names of numbered images, as of the frames of a video: ``frame_0000000001.jpg``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

IMAGE_KINDS = {".bmp": "BMP", ".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".webp": "WebP"}
"""Kinds of images by suffix, in lower case."""

TAR_SUFFIXES = (".tar", ".tar.bz2", ".tar.gz", ".tar.xz", ".tbz2", ".tgz", ".txz")
"""Suffixes of tar archives; only the first kind can be read in place."""

FLOW_FOLDERS = ("u", "v")
"""Folders of a video with images of horizontal and of vertical optical flow."""

_MAX_DIGITS = 18
_AXIS = re.compile(r"()([uv])(/.*)|(|.*[_-])([xy])([_-]?)", re.DOTALL)


def image_kind(name: str) -> str | None:
    """Return the kind of an image by its name's suffix; None: it is no image, or hidden."""
    name = name[name.rfind("/") + 1 :]
    return None if is_hidden(name) else IMAGE_KINDS.get(name[name.rfind(".") :].lower())


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
    prefix, number = series_of(name) or ("", None)
    return None if number is None else (prefix[prefix.rfind("/") + 1 :], number)


def series_of(name: str) -> tuple[str, int] | None:
    """Return as `split_number`, but with the folder before the name: ``u/1.jpg`` is the first of series ``u/``."""
    stem = name[: name.rfind(".")]
    digits = min(len(stem) - len(stem.rstrip("0123456789")), _MAX_DIGITS)
    return (stem[:-digits], int(stem[-digits:])) if digits else None


def flow_axis(series: str) -> tuple[int, str] | None:
    """Return the axis of optical flow, 0 or 1 for x or y, and what the series of both share; None: it is no flow.

    Examples
    --------
    >>> flow_axis("flow_x_"), flow_axis("y"), flow_axis("v/frame_"), flow_axis("frame_")
    ((0, 'flow_?_'), (1, '?'), (1, '?/frame_'), None)
    """
    match = _AXIS.fullmatch(series)
    if match is None:
        return None
    before, axis, after = (group for group in match.groups() if group is not None)
    return int(axis in "vy"), f"{before}?{after}"


def tar_stem(name: str) -> str | None:
    """Return the name of a tar archive without its suffix; None: it is no such archive.

    Examples
    --------
    >>> tar_stem("P01_01.tar.gz"), tar_stem("P01_01.mp4")
    ('P01_01', None)
    """
    suffix = next((suffix for suffix in TAR_SUFFIXES if name.lower().endswith(suffix)), None)
    return None if suffix is None else name[: -len(suffix)]


def scan_images(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what a folder of images holds, by name; if they lie in its folders u and v, what these hold: ``u/1.jpg``.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    with os.scandir(folder) as found:
        entries = {entry.name: entry for entry in found}
    if all(name in entries and entries[name].is_dir() for name in FLOW_FOLDERS) and not any(map(image_kind, entries)):
        for name in FLOW_FOLDERS:
            with os.scandir(folder / name) as found:
                yield from ((f"{name}/{entry.name}", entry) for entry in found)
    else:
        yield from entries.items()


def image_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the images in a folder, or in its folders u and v, in bytes, by name.

    Raises
    ------
    OSError
        If the folder cannot be listed.
    """
    return {name: entry.stat().st_size for name, entry in scan_images(folder) if image_kind(name) and entry.is_file()}
