"""Which video files an extraction works on, and under which ids."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_kit.annotations.video_names import VIDEO_SUFFIXES
from asl_kit.errors import MissingFileError, StoreError, UsageError, VideoError
from asl_kit.store import encode_id


@dataclass(frozen=True)
class VideoFile:
    """A video and its id, the file's name without its suffix."""

    video_id: str
    path: Path


def find_videos(sources: Sequence[Path]) -> list[VideoFile]:
    """Return the videos that files and folders name, sorted by id.

    A file is taken whatever its suffix; a folder is searched, with the folders
    in it and those that links lead to, for files with a video's suffix. Links that
    lead nowhere, pipes and files that may not be read are found too, so that
    reading them fails with the reason rather than leaving them out in silence.

    Raises
    ------
    MissingFileError
        If a file or folder does not exist.
    UsageError
        If there is no video, two of them have the same id, or a folder cannot be searched.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for path in _files_of(source):
            other = found.setdefault(path.stem, path)
            if os.path.realpath(other) != os.path.realpath(path):
                raise UsageError(
                    f"two videos with the id {path.stem!r}: {other} and {path}",
                    hint="a video's id is its file name without the suffix; rename one of them",
                )
    if not found:
        raise UsageError(
            f"no videos found in {', '.join(map(str, sources))}",
            hint=f"suffixes that are looked for: {' '.join(VIDEO_SUFFIXES)}",
        )
    return [VideoFile(video_id, found[video_id]) for video_id in sorted(found)]


def check_id(file: VideoFile) -> None:
    """Refuse a video whose id cannot be stored, before it is extracted.

    Raises
    ------
    VideoError
        If the id is too long for a file name, or not Unicode text.
    """
    try:
        encode_id(file.video_id)
    except StoreError as fault:
        raise VideoError(f"{file.path}: {fault.message}", hint=fault.hint) from fault


def _files_of(source: Path) -> Iterable[Path]:
    if source.is_dir():
        return sorted(_search(source))
    if not source.exists():
        target = f": the link leads to {source.readlink()}, which is not there" if source.is_symlink() else ""
        raise MissingFileError(f"{source}: no such file or folder{target}")
    return [source]


def _search(folder: Path) -> Iterator[Path]:
    """Yield what a folder, with the folders in it, holds under a video's suffix, readable or not.

    Links to folders are followed, each folder is searched once: a link back up ends there.
    """

    def refuse(fault: OSError) -> None:
        raise UsageError(f"{fault.filename}: this folder cannot be searched: {fault.strerror}") from fault

    searched: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in searched:
            folders.clear()
            continue
        searched.add(real)
        # Folders before links to folders, so that a video is found at its own place.
        folders.sort(key=lambda name: (Path(place, name).is_symlink(), name))
        for name in names:
            path = Path(place, name)
            if path.suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                yield path


def restrict(videos: Sequence[VideoFile], video_ids: Collection[str]) -> tuple[list[VideoFile], list[str]]:
    """Return the videos whose ids are in `video_ids`, and the sorted ids that no video has."""
    kept = [video for video in videos if video.video_id in video_ids]
    return kept, sorted(set(video_ids) - {video.video_id for video in kept})


def parse_shard(text: str) -> tuple[int, int]:
    """Return (I, N) of ``I/N``: the I-th of N parts, counted from 1.

    Raises
    ------
    UsageError
        If the text is not of that form, or I is not within 1 to N.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise UsageError(f"shard {text!r} is not I/N with I from 1 to N", hint="--shard 1/4 is the first of four parts")
    return int(index), int(count)


def take_shard(videos: Sequence[VideoFile], shard: tuple[int, int]) -> list[VideoFile]:
    """Return every N-th video, from the I-th on."""
    index, count = shard
    return list(videos[index - 1 :: count])
