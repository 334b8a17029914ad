"""Frames handed out as images: a folder or a tar of numbered images, listed once and read in place."""

from __future__ import annotations

import itertools
import os
import tarfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from asl_kit.base.image_names import (
    FLOW_FOLDERS,
    flow_axis,
    image_kind,
    is_hidden,
    scan_images,
    series_of,
    split_number,
    tar_stem,
)
from asl_kit.errors import AslKitError, MissingFileError, VideoError, first_few

_TAR_BLOCK = 512
_PEEKED = 64
_NAMED = 3
_HINT = "a video is a run of images numbered without gaps, all of one kind and with one name before the number"
FLOW_HINT = "optical flow is two images a frame: flow_x_00001.jpg and flow_y_00001.jpg, or u/00001.jpg and v/00001.jpg"


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


@dataclass(frozen=True)
class ImageOrder:
    """The images of a video among the files of a folder or tar.

    Parameters
    ----------
    positions : list of int
        Their positions among the files, in order; of optical flow, horizontal and vertical in turn.
    kind : str
        A value of `asl_kit.base.image_names.IMAGE_KINDS`.
    is_flow : bool
        Whether they hold optical flow, two of them for each frame.
    """

    positions: list[int]
    kind: str
    is_flow: bool


class ImageFiles(ABC):
    """Numbered images in the order of their numbers.

    Attributes
    ----------
    names : list of str
        Names of the images, without folders except u and v.
    kind, is_flow
        As in `ImageOrder`.
    note : str
        Which files beside the images are ignored, hidden ones aside; empty: none.
    """

    names: list[str]
    kind: str
    is_flow: bool
    note: str

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.names) // (2 if self.is_flow else 1)

    @abstractmethod
    def read(self, index: int) -> bytearray:
        """Return the bytes of an image; several threads may read.

        Raises
        ------
        OSError
            If it cannot be read completely.
        """

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""


def open_images(path: Path, *, flow: bool = False) -> ImageFiles:
    """List the images of a folder or a tar; `flow` as in `order_images`.

    Raises
    ------
    MissingFileError
        If there is no such file or folder.
    VideoError
        If it cannot be listed or holds no images, or the images are not of one kind, numbered without gaps.
    """
    try:
        return _Folder(path, flow=flow) if path.is_dir() else _Tar(path, flow=flow)
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


def order_images(path: Path, names: Sequence[str], *, flow: bool = False) -> ImageOrder:
    """Find the images of a video among file names, in the order of their numbers.

    Hidden files and files of other kinds are left out. Where images of optical flow lie beside others, `flow` says
    which of them are the video.

    Raises
    ------
    VideoError
        If there are no images, or they are not of one kind, numbered without gaps; or one of a pair is missing.
    """
    first: dict[str, dict[str, str]] = {}
    numbered: dict[str, list[tuple[int, int]]] = {}
    for position, name in enumerate(names):
        kind = image_kind(name)
        if kind is None:
            continue
        parts = series_of(name)
        if parts is None:
            raise VideoError(f"{path}: the image {name!r} has no number at the end of its name", hint=_HINT)
        first.setdefault(parts[0], {}).setdefault(kind, name)
        numbered.setdefault(parts[0], []).append((parts[1], position))
    if not numbered:
        found = next((f", found {name!r}" for name in names if not is_hidden(name)), "")
        raise VideoError(f"{path}: no images{found}", hint=_HINT)
    pair = _flow_pair(numbered)
    is_flow = bool(pair) and (flow or len(numbered) == 2)
    chosen = pair if is_flow else [series for series in numbered if series not in pair]
    kinds = {kind: name for series in chosen for kind, name in first[series].items()}
    starts = {} if is_flow else {series: next(iter(first[series].values())) for series in chosen}
    for several, what in ((kinds, "kinds of images"), (starts, "series of images")):
        if len(several) > 1:
            raise VideoError(
                f"{path}: {len(several)} {what}: {' and '.join(sorted(several.values())[:2])}",
                hint=FLOW_HINT if flow else _HINT,
            )
    for series in chosen:
        numbered[series].sort()
        _check_numbers(path, numbered[series], names)
    if is_flow:
        _check_pairs(path, numbered[chosen[0]], numbered[chosen[1]], names=names)
    frames = zip(*(numbered[series] for series in chosen), strict=True)
    return ImageOrder([position for frame in frames for _, position in frame], next(iter(kinds)), is_flow)


def _flow_pair(series: Iterable[str]) -> list[str]:
    """Return the series of horizontal and of vertical flow; empty: there are not both."""
    found: dict[str, dict[int, str]] = {}
    for name in series:
        if (axis := flow_axis(name)) is not None:
            found.setdefault(axis[1], {})[axis[0]] = name
    return next(([both[0], both[1]] for both in found.values() if len(both) == 2), [])


def _check_pairs(
    path: Path, x: Sequence[tuple[int, int]], y: Sequence[tuple[int, int]], *, names: Sequence[str]
) -> None:
    numbers = [{number for number, _ in images} for images in (x, y)]
    for number, position in (*x, *y):
        if number not in numbers[0] or number not in numbers[1]:
            raise VideoError(
                f"{path}: {len(x)} images of horizontal optical flow and {len(y)} of vertical: "
                f"{names[position]} has no counterpart",
                hint=FLOW_HINT,
            )


def _check_numbers(path: Path, numbered: Sequence[tuple[int, int]], names: Sequence[str]) -> None:
    gaps = []
    for (number, position), (following, next_position) in itertools.pairwise(numbered):
        if following == number:
            raise VideoError(f"{path}: {names[position]} and {names[next_position]} have the same number", hint=_HINT)
        if following > number + 1:
            gaps.append(f"{names[next_position]} follows {names[position]}")
    if gaps:
        more = f", and {len(gaps) - 1} more gaps" if len(gaps) > 1 else ""
        missing = numbered[-1][0] - numbered[0][0] + 1 - len(numbered)
        raise VideoError(f"{path}: {missing} images are missing: {gaps[0]}{more}", hint=_HINT)


class _Folder(ImageFiles):
    def __init__(self, path: Path, *, flow: bool) -> None:
        self._path = path
        names = [name for name, _ in scan_images(path)]
        order = order_images(path, names, flow=flow)
        self.kind, self.is_flow = order.kind, order.is_flow
        self.names = [names[position] for position in order.positions]
        self.note = _ignored([name for name in names if image_kind(name) is None])

    def read(self, index: int) -> bytearray:
        with open(f"{self._path}/{self.names[index]}", "rb", buffering=0) as file:  # noqa: PTH123  (a Path takes time)
            return _read(file, os.fstat(file.fileno()).st_size, start=0)

    def close(self) -> None:
        """Do nothing: no file is open."""


class _Tar(ImageFiles):
    """A tar of which only the headers are read at first; no name in it is ever used as a path."""

    def __init__(self, path: Path, *, flow: bool) -> None:
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
                    place, slash, inner = folder.rpartition("/")
                    if inner in FLOW_FOLDERS:
                        folder, name = f"{place}{slash}?", f"{inner}/{name}"
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
            order = order_images(path, names, flow=flow)
        except BaseException:
            self._file.close()
            raise
        self.kind, self.is_flow = order.kind, order.is_flow
        self.names = [names[position] for position in order.positions]
        self.note = _ignored(others)
        self._starts = array("q", (starts[position] for position in order.positions))
        self._sizes = array("q", (sizes[position] for position in order.positions))

    def read(self, index: int) -> bytearray:
        return _read(self._file, self._sizes[index], start=self._starts[index])

    def close(self) -> None:
        self._file.close()


def _ignored(names: Sequence[str]) -> str:
    visible = sorted(name for name in names if not is_hidden(name))
    return f"beside the images, ignored: {first_few(visible, _NAMED)}" if visible else ""


def _read(file: FileIO, size: int, *, start: int) -> bytearray:
    """Return a part of a file, which other threads may read too."""
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = os.preadv(file.fileno(), [view[done:]], start + done)
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
