"""Readers of feature files by extension; nothing is unpickled.

A `.h5` file holds either one video or one dataset per video. It holds one dataset per video if it has several
datasets and none is named like "features" (see `KEYS`), or if the user named the file itself and its only dataset is
not named so. A group with such a dataset is a video too: ``v_x/features``.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import FeatureError, MissingDependencyError, MissingFileError, UsageError
from asl_kit.store.identity import MAX_BLOCKS, FileIdentity

KEYS = ("feats", "features", "feature", "feat", "arr_0")
"""Generic names of arrays, which are not video ids."""

MAX_INFLATED_BYTES = 2**30
"""A larger array is refused if it is compressed far more than features can be."""

HDF5 = (".h5", ".hdf5")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """The location of one array of features."""

    name: str
    """File name without the extension, or name of the dataset in a container; it is matched to a video."""
    path: Path
    """The file."""
    dataset: str = ""
    """Path of the dataset in an HDF5 container; empty for other files."""

    def __str__(self) -> str:
        return f"{self.path}:{self.dataset}" if self.dataset else str(self.path)


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of a folder."""

    sources: list[Source]
    """Arrays of features, in order of their paths."""
    other_files: list[Path]
    """Files with an unknown extension."""


def find_sources(place: Path, key: str | None = None) -> Found:
    """Find features in a folder and its subfolders, or in a single file.

    Raises
    ------
    MissingFileError
        If `place` does not exist.
    UsageError
        If there are no feature files.
    """
    if not place.exists():
        raise MissingFileError(f"{place}: no such file or folder")
    paths = [place] if place.is_file() else _files_below(place)
    known = [path for path in paths if path.suffix.lower() in _READERS]
    found = Found([], [path for path in paths if path.suffix.lower() not in _READERS])
    for path in known:
        whole = Source(path.name[: -len(path.suffix)], path)
        found.sources.extend(_hdf5_sources(whole, key, alone=path == place) if path.suffix.lower() in HDF5 else [whole])
    if not known:
        there = ", ".join(sorted({path.suffix or path.name for path in paths})[:10]) or "nothing"
        raise UsageError(
            f"{place}: no feature files; expected {', '.join(_READERS)}, found {there}",
            hint="name the folder that holds one feature file per video",
        )
    return found


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        Path(parent) / name for parent, _, names in os.walk(folder) for name in names if not name.startswith(".")
    )


def read_shape(source: Source, key: str | None = None) -> tuple[int, ...] | None:
    """Return the shape of an array without reading its values; None for CSV, whose rows are always time.

    Raises
    ------
    FeatureError
        If the file is damaged or does not hold one array of numbers.
    """
    return _guarded(source, lambda: _READERS[source.path.suffix.lower()][0](source, key))


def read(source: Source, key: str | None = None) -> NDArray[np.floating[Any]]:
    """Return an array of floats in the order of the file; raises as `read_shape` does."""
    values = _guarded(source, lambda: _READERS[source.path.suffix.lower()][1](source, key))
    if not np.issubdtype(values.dtype, np.floating):
        raise FeatureError(f"{source}: the values are {values.dtype}, expected floating-point numbers")
    if values.dtype.itemsize > 8:
        raise FeatureError(f"{source}: the values are {values.dtype}, expected float16, float32 or float64")
    return values


def identity(source: Source) -> FileIdentity:
    """Return the identity of a file, or of one dataset in a container, whose other datasets may change.

    Raises
    ------
    OSError, FeatureError
        If it cannot be read.
    """
    if not source.dataset:
        return FileIdentity.of(source.path)
    return _guarded(source, lambda: _hdf5_identity(source))


def _guarded(source: Source, work: Callable[[], Result]) -> Result:
    """Turn any error of a damaged file into one message."""
    try:
        return work()
    except (FeatureError, MissingDependencyError):
        raise
    except Exception as fault:  # five libraries may raise anything for a damaged file, even SyntaxError
        reason = getattr(fault, "strerror", None) or (str(fault).splitlines() or [type(fault).__name__])[0]
        raise FeatureError(f"{source}: damaged, or not the type that its extension says: {reason}") from fault


def _choose(names: Iterable[str], key: str | None, source: Source) -> str:
    """Return the name of the array to read from a file that may hold several."""
    names = list(names)
    if key is not None:
        if key not in names:
            raise FeatureError(f"{source}: no array named {key!r}; there are: {', '.join(names) or 'none'}")
        return key
    usual = names if len(names) == 1 else [name for name in names if name in KEYS]
    if len(usual) != 1:
        raise FeatureError(
            f"{source}: expected one array, found {', '.join(names) or 'none'}", hint="choose one with --key NAME"
        )
    return usual[0]


def _npy_header(file: Any, source: Source) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    # Version 3 differs from 2 only in the encoding of field names, which features do not have.
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(file)
    if dtype.hasobject:
        raise FeatureError(
            f"{source}: holds pickled Python objects, which are never loaded: they can run any program",
            hint="save the plain array: np.save(FILE, array.astype('float32'))",
        )
    return shape, dtype


def _npy_shape(source: Source, key: str | None) -> tuple[int, ...]:
    with source.path.open("rb") as file:
        shape, dtype = _npy_header(file, source)
        held = os.fstat(file.fileno()).st_size - file.tell()
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if held < promised:
        raise FeatureError(f"{source}: truncated: {held} bytes of values, its header states {promised}")
    return shape


def _npy_read(source: Source, key: str | None) -> NDArray[Any]:
    _npy_shape(source, key)
    values: NDArray[Any] = np.load(source.path, allow_pickle=False)
    return values


def _npz_shape(source: Source, key: str | None) -> tuple[int, ...]:
    with zipfile.ZipFile(source.path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        name = _choose(names, key, source) + ".npy"
        entry = archive.getinfo(name)
        if entry.file_size > MAX_INFLATED_BYTES and entry.file_size > 200 * entry.compress_size:
            raise FeatureError(
                f"{source}: {entry.compress_size} bytes that expand to {entry.file_size}: a decompression bomb?",
                hint="if you trust it, save the array without compression: np.savez(FILE, array)",
            )
        with archive.open(name) as file:
            shape, dtype = _npy_header(file, source)
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if entry.file_size < promised:
        raise FeatureError(f"{source}: truncated: its header states {promised} bytes of values")
    return shape


def _npz_read(source: Source, key: str | None) -> NDArray[Any]:
    _npz_shape(source, key)  # for its clearer messages
    with np.load(source.path, allow_pickle=False) as arrays:
        values: NDArray[Any] = arrays[_choose(arrays.files, key, source)]
        return values


def _tensor(source: Source, key: str | None, *, lazily: bool) -> Any:
    import pickle

    import torch

    from asl_kit.torch_utils.saved_tensors import load_saved

    try:
        if lazily and zipfile.is_zipfile(source.path):
            loaded = torch.load(source.path, map_location="cpu", weights_only=True, mmap=True)
        else:
            loaded = load_saved(source.path)
    except pickle.UnpicklingError as fault:
        raise FeatureError(
            f"{source}: damaged, or holds more than tensors, which is never unpickled: it can run any program",
            hint="save the plain tensor: torch.save(features, FILE)",
        ) from fault
    if isinstance(loaded, dict):
        tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        loaded = tensors[_choose(tensors, key, source)]
    if not isinstance(loaded, torch.Tensor):
        raise FeatureError(f"{source}: holds a {type(loaded).__name__}, expected a tensor or a dict of tensors")
    return loaded


def _pt_shape(source: Source, key: str | None) -> tuple[int, ...]:
    return tuple(_tensor(source, key, lazily=True).shape)


def _pt_read(source: Source, key: str | None) -> NDArray[Any]:
    import torch

    tensor = _tensor(source, key, lazily=False).detach()
    values: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return values


def _open_hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError as fault:
        raise MissingDependencyError(
            f"{path}: reading HDF5 needs the package h5py", hint="pip install 'asl-kit[h5py]'"
        ) from fault
    return h5py.File(path, "r")


def _hdf5_sources(whole: Source, key: str | None, *, alone: bool) -> list[Source]:
    """Return the file itself, or each of the videos in it."""
    names: list[str] = []

    def note_dataset(name: str | bytes, item: Any) -> None:
        if hasattr(item, "shape"):  # else it is a group
            names.append(name if isinstance(name, str) else name.decode("utf-8", "backslashreplace"))

    try:
        with _open_hdf5(whole.path) as file:
            file.visititems(note_dataset)
    except MissingDependencyError:
        raise
    except Exception:
        return [whole]  # reported when the file is read
    usual = (key,) if key is not None else KEYS
    if any(name in usual for name in names) or (len(names) < 2 and not (alone and names)):
        return [whole]
    sources = []
    for name in names:
        parent, _, last = name.rpartition("/")
        if parent and last in usual:
            sources.append(Source(parent.rpartition("/")[2], whole.path, name))
        elif key is None:
            sources.append(Source(last, whole.path, name))
    return sources or [whole]


def _dataset(file: Any, source: Source, key: str | None) -> Any:
    import h5py

    # Links and external datasets, which may lead to other files, are not followed.
    chosen = source.dataset
    if not chosen:
        own = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        names = [name for name in own if hasattr(file[name], "shape")]
        linked = [name for name in file if name not in own]
        if linked and not names:
            raise FeatureError(
                f"{source}: {linked[0]!r} is a link; links are not followed", hint="store the values in this file"
            )
        chosen = _choose(names, key, source)
    dataset = file[chosen]
    if dataset.external or dataset.is_virtual:
        raise FeatureError(
            f"{source}: {dataset.name!r} is stored in other files, which are not read", hint="copy it here"
        )
    return dataset


def _hdf5_shape(source: Source, key: str | None) -> tuple[int, ...]:
    with _open_hdf5(source.path) as file:
        return tuple(_dataset(file, source, key).shape)


def _hdf5_read(source: Source, key: str | None) -> NDArray[Any]:
    with _open_hdf5(source.path) as file:
        return np.asarray(_dataset(file, source, key)[()])


def _hdf5_identity(source: Source) -> FileIdentity:
    with _open_hdf5(source.path) as file:
        dataset = _dataset(file, source, None)
        rows = len(dataset)
        sampled = sorted({(rows - 1) * number // (MAX_BLOCKS - 1) for number in range(MAX_BLOCKS)}) if rows else []
        return FileIdentity.of_blocks(
            (np.asarray(dataset[row]).tobytes() for row in sampled),
            size_bytes=int(dataset.nbytes),
            path=str(source),
            modified_s=source.path.stat().st_mtime,
        )


def _csv_shape(source: Source, key: str | None) -> None:
    return None


def _csv_read(source: Source, key: str | None) -> NDArray[Any]:
    with source.path.open(encoding="utf-8") as file:
        first = file.readline().strip()
    if not first:
        return np.empty((0, 0), np.float32)
    header = not all(map(_is_number, first.split(",")))
    with source.path.open(encoding="utf-8") as file:
        if header:
            file.readline()
        place = file.tell()
        if not file.read(1):
            return np.empty((0, len(first.split(","))), np.float32)
        file.seek(place)
        values: NDArray[Any] = np.loadtxt(file, np.float32, comments=None, delimiter=",", ndmin=2)
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_Reader = tuple[Callable[[Source, str | None], tuple[int, ...] | None], Callable[[Source, str | None], NDArray[Any]]]
_READERS: dict[str, _Reader] = {
    ".npy": (_npy_shape, _npy_read),
    ".npz": (_npz_shape, _npz_read),
    ".pt": (_pt_shape, _pt_read),
    ".pth": (_pt_shape, _pt_read),
    ".h5": (_hdf5_shape, _hdf5_read),
    ".hdf5": (_hdf5_shape, _hdf5_read),
    ".csv": (_csv_shape, _csv_read),
}
