"""Frames handed out as images: a folder or a tar of numbered images, listed once and read in place."""

from __future__ import annotations

import itertools
import os
import tarfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from asl_kit.base.image_names import image_kind, is_hidden, split_number, tar_stem
from asl_kit.errors import AslKitError, MissingFileError, VideoError, first_few

_TAR_BLOCK = 512
_PEEKED = 64
_NAMED = 3
_HINT = "a video is a run of images numbered without gaps, all of one kind and with one name before the number"


@dataclass(frozen=True)
class ImageSequence:
    """A video whose frames are numbered images.

    Parameters
    ----------
    path : Path
        A folder, or a tar archive.
    fps : float
        Frames per second, which images do not state.
    """

    path: Path
    fps: float

    def __str__(self) -> str:
        return str(self.path)


def is_image_sequence(path: Path) -> bool:
    """Return whether a video that was found is a folder or a tar of images, not a video file."""
    return tar_stem(path.name) is not None or path.is_dir()


class ImageFiles(ABC):
    """Numbered images in the order of their numbers.

    Attributes
    ----------
    names : list of str
        Names of the images, without folders.
    kind : str
        Their kind: a value of `asl_kit.base.image_names.IMAGE_KINDS`.
    note : str
        Which files beside the images are ignored, hidden ones aside; empty: none.
    """

    names: list[str]
    kind: str
    note: str

    @abstractmethod
    def read(self, index: int) -> bytearray:
        """Return the bytes of an image.

        Raises
        ------
        OSError
            If it cannot be read completely.
        """

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""


def open_images(path: Path) -> ImageFiles:
    """List the images of a folder or a tar.

    Raises
    ------
    MissingFileError
        If there is no such file or folder.
    VideoError
        If it cannot be listed or holds no images, or the images are not of one kind, numbered without gaps.
    """
    try:
        return _Folder(path) if path.is_dir() else _Tar(path)
    except AslKitError:
        raise
    except FileNotFoundError as fault:
        raise MissingFileError(f"{path}: no such file or folder") from fault
    except OSError as fault:
        raise VideoError(f"{path}: cannot be read: {fault.strerror or fault}") from fault


def holds_images(tar: Path) -> bool:
    """Return whether the first file of a tar is a numbered image; also True if it cannot be read."""
    try:
        with tarfile.open(tar) as archive:
            for _ in range(_PEEKED):
                member = archive.next()
                if member is None:
                    return False
                name = member.name.rpartition("/")[2]
                if member.isfile() and not is_hidden(name):
                    return bool(image_kind(name) and split_number(name))
    except (OSError, EOFError, tarfile.TarError):
        return True  # reading it will say why
    return False


def order_images(path: Path, names: Sequence[str]) -> tuple[list[int], str]:
    """Return the positions of the images among file names, by number, and the kind of the images.

    Hidden files and files of other kinds are left out.

    Raises
    ------
    VideoError
        If there are no images, or they are not of one kind, numbered without gaps.
    """
    first: dict[str, str] = {}
    numbered: list[tuple[int, int]] = []
    prefixes: dict[str, str] = {}
    for position, name in enumerate(names):
        kind = image_kind(name)
        if kind is None:
            continue
        first.setdefault(kind, name)
        parts = split_number(name)
        if parts is None:
            raise VideoError(f"{path}: the image {name!r} has no number at the end of its name", hint=_HINT)
        prefixes.setdefault(parts[0], name)
        numbered.append((parts[1], position))
    if not numbered:
        found = next((f", found {name!r}" for name in names if not is_hidden(name)), "")
        raise VideoError(f"{path}: no images{found}", hint=_HINT)
    for several, what in ((first, "kinds of images"), (prefixes, "series of images")):
        if len(several) > 1:
            raise VideoError(f"{path}: {len(several)} {what}: {' and '.join(sorted(several.values())[:2])}", hint=_HINT)
    numbered.sort()
    _check_numbers(path, numbered, names)
    return [position for _, position in numbered], next(iter(first))


def _check_numbers(path: Path, numbered: Sequence[tuple[int, int]], names: Sequence[str]) -> None:
    gaps = []
    for (number, position), (following, next_position) in itertools.pairwise(numbered):
        if following == number:
            raise VideoError(f"{path}: {names[position]} and {names[next_position]} have one number", hint=_HINT)
        if following > number + 1:
            gaps.append(f"{names[next_position]} follows {names[position]}")
    if gaps:
        more = f", and {len(gaps) - 1} more gaps" if len(gaps) > 1 else ""
        missing = numbered[-1][0] - numbered[0][0] + 1 - len(numbered)
        raise VideoError(f"{path}: {missing} images are missing: {gaps[0]}{more}", hint=_HINT)


class _Folder(ImageFiles):
    def __init__(self, path: Path) -> None:
        self._path = path
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries]
        order, self.kind = order_images(path, names)
        self.names = [names[position] for position in order]
        self.note = _ignored([name for name in names if image_kind(name) is None])

    def read(self, index: int) -> bytearray:
        with (self._path / self.names[index]).open("rb", buffering=0) as file:
            return _read(file, os.fstat(file.fileno()).st_size)

    def close(self) -> None:
        """Do nothing: no file is open."""


class _Tar(ImageFiles):
    """A tar of which only the headers are read at first; no name in it is ever used as a path."""

    def __init__(self, path: Path) -> None:
        names: list[str] = []
        others: list[str] = []
        folders: dict[str, str] = {}
        starts, sizes = array("q"), array("q")
        try:
            archive = tarfile.open(path, "r:")  # noqa: SIM115  (closed below)
        except tarfile.ReadError as fault:
            raise _not_readable(path, fault) from fault
        with archive:
            try:
                while (member := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # else it keeps every header
                    folder, _, name = member.name.rpartition("/")
                    if image_kind(name) is None or member.isdir():
                        if not member.isdir():
                            others.append(name)
                        continue
                    if not member.isreg() or member.issparse():
                        raise VideoError(
                            f"{path}: {member.name!r} is a link or a sparse file in the archive, not an image"
                        )
                    folders.setdefault(folder, member.name)
                    names.append(name)
                    starts.append(member.offset_data)
                    sizes.append(member.size)
                end = archive.offset
            except tarfile.TarError as fault:
                raise _truncated(path, len(names)) from fault
        self._file = path.open("rb", buffering=0)
        try:
            self._file.seek(end)  # tarfile takes a damaged header for the end
            if (last := self._file.read(_TAR_BLOCK)) != bytes(_TAR_BLOCK):
                raise _truncated(path, len(names)) if len(last) < _TAR_BLOCK else _damaged(path, end)
            if len(folders) > 1:
                raise VideoError(f"{path}: images in two folders: {' and '.join(sorted(folders.values())[:2])}")
            order, self.kind = order_images(path, names)
        except BaseException:
            self._file.close()
            raise
        self.names = [names[position] for position in order]
        self.note = _ignored(others)
        self._starts = array("q", (starts[position] for position in order))
        self._sizes = array("q", (sizes[position] for position in order))

    def read(self, index: int) -> bytearray:
        self._file.seek(self._starts[index])
        return _read(self._file, self._sizes[index])

    def close(self) -> None:
        self._file.close()


def _ignored(names: Sequence[str]) -> str:
    visible = sorted(name for name in names if not is_hidden(name))
    return f"beside the images, ignored: {first_few(visible, _NAMED)}" if visible else ""


def _read(file: FileIO, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = file.readinto(view[done:])
        if not count:
            raise OSError(f"{done} of {size} bytes found")
        done += count
    return data


def _not_readable(path: Path, fault: Exception) -> VideoError:
    try:
        with tarfile.open(path):
            pass
    except (OSError, EOFError, tarfile.TarError):
        return VideoError(f"{path}: not a tar archive that can be read: {fault}")
    return VideoError(
        f"{path}: a compressed tar archive cannot be read in place",
        hint="decompress it (gunzip, bunzip2, xz -d): images are compressed already, so it hardly grows",
    )


def _truncated(path: Path, found: int) -> VideoError:
    return VideoError(
        f"{path}: the archive ends early, after {found} images: it is truncated", hint="copy or download it again"
    )


def _damaged(path: Path, offset: int) -> VideoError:
    return VideoError(f"{path}: the archive is damaged at byte {offset}", hint="copy or download it again")
