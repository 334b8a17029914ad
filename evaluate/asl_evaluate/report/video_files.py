"""Where the videos of a report lie, as a page refers to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from asl_kit.annotations import Video
from asl_kit.annotations.video_names import VIDEO_SUFFIXES
from asl_kit.errors import MissingFileError, UsageError


def find_video_files(folder: Path, videos: Mapping[str, Video]) -> dict[str, Path]:
    """Return the files of videos, by id: at their annotated path, or else named like the id, however deep.

    Videos without a file are left out. Of several files with one name the first by path counts.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    UsageError
        If none of the videos has a file in it.
    """
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: no such folder")
    by_name: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            by_name.setdefault(path.stem, path)
    found = {}
    for video_id, video in videos.items():
        annotated = folder / video.path if video.path else None
        if annotated is not None and annotated.is_file():
            found[video_id] = annotated
        elif video_id in by_name:
            found[video_id] = by_name[video_id]
    if not found:
        raise UsageError(
            f"{folder}: none of the {len(videos)} videos has a file here",
            hint=f"a video's file is named like its id ({next(iter(videos))}.mp4), or by its path in the annotations",
        )
    return found


def address(path: Path, page: Path) -> str:
    """Return the relative URL of a file as seen from a page, so that both can be moved together.

    On Windows, where no relative path leads to another drive, it is the file's whole URL.
    """
    try:
        relative = os.path.relpath(path.resolve(), page.resolve().parent)
    except ValueError:
        return path.resolve().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))  # names need not be Unicode
