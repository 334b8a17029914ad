"""The video files of a report, and their addresses on the page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from asl_kit.annotations.video_names import VIDEO_SUFFIXES
from asl_kit.base.image_names import FLOW_FOLDERS, image_kind, tar_stem
from asl_kit.errors import MissingFileError, UsageError


def find_video_files(folder: Path, paths: Mapping[str, str | None]) -> dict[str, Path]:
    """Return the files of videos by id: at their annotated path, else named like the id in any folder below.

    Videos without a file are left out, and those whose frames are images, which a page cannot play. Of several files
    with one name, the first by path counts. An id may contain folders and the suffix, as in the ids that
    `asl-kit predict` gives to files of one name: ``monday/clip``, ``clip.mov``.

    Parameters
    ----------
    folder : Path
        Where to look.
    paths : mapping of str to str or None
        The annotated path by id, if there is one.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    UsageError
        If none of the videos has a file in it.
    """
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: no such folder")
    files: list[Path] = []
    of_images: set[str] = set()
    for path in folder.rglob("*"):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            files.append(path)
        elif image_kind(path.name) is not None:
            of_images.add((path.parent.parent if path.parent.name in FLOW_FOLDERS else path.parent).name)
        elif (stem := tar_stem(path.name)) is not None:
            of_images.add(stem)
    named = by_name(files)
    found = {}
    for video_id, own in paths.items():
        annotated = _inside(folder, own) if own else None
        if annotated is not None:
            found[video_id] = annotated
        elif video_id in named:
            found[video_id] = named[video_id]
    if not found and of_images.isdisjoint(paths):
        example = next(iter(paths), "x")
        raise UsageError(
            f"{folder}: none of the {len(paths)} videos has a file here",
            hint=f"a video file is found by its id ({example}.mp4), or by its path in the annotations",
        )
    return found


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Return video files by every id that they may have: the name, with and without folders and suffix.

    Of several files with one name, the first by path counts.
    """
    named: dict[str, Path] = {}
    for path in sorted(files):
        parts = path.absolute().parts[1:]
        for first in range(len(parts)):
            place = PurePosixPath(*parts[first:])
            named.setdefault(str(place.with_suffix("")), path)
            named.setdefault(str(place), path)
    return named


def _inside(folder: Path, name: str) -> Path | None:
    """Return the file at a relative path in a folder; None if there is none, or the path leads out of the folder."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        return None
    with suppress(OSError, ValueError):  # the name is too long, or contains a null character
        if (folder / path).is_file():
            return folder / path
    return None


def address(path: Path, page: Path) -> str:
    """Return the relative URL of a file as seen from a page, which stays valid if both are moved together.

    On Windows, where no relative path leads to another drive, it is the file's whole URL.
    """
    try:
        relative = os.path.relpath(path.resolve(), page.resolve().parent)
    except ValueError:
        return path.resolve().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))  # names need not be Unicode
