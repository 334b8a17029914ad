"""The array of one video on disk: a Zarr v3 array of shape (T, D) whose chunk files are read and written directly.

An uncompressed chunk consists of its rows only, so one system call reads or writes it.
Zarr takes several times as long (tests/benchmarks/store_read.py) and needs its event
loop, which does not survive a fork. Zarr reads arrays that another tool has rewritten
(compressed, sharded).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import DTypeLike, NDArray

from asl_kit.remote.folder import AnyFolder

MAX_CHUNK_ROWS = 1024
DTYPES = ("float16", "float32")

_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}]
_CHUNK_KEYS = {"name": "default", "configuration": {"separator": "."}}  # one flat folder per video: c.0.0, c.1.0


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array on disk: its metadata, and methods to read its values."""

    folder: AnyFolder
    """Folder of ``zarr.json`` and the chunk files."""
    shape: tuple[int, int]
    """(T, D)."""
    dtype: str
    """``float16`` or ``float32``."""
    chunk_rows: int
    """Rows per chunk; the last chunk is padded to this number."""
    plain: bool
    """Whether chunk files consist of rows only, as `write_array` writes them."""
    attributes: dict[str, Any]
    """Attributes of the array."""

    @classmethod
    def open(cls, folder: AnyFolder) -> StoredArray:
        """Read an array's metadata.

        Raises
        ------
        OSError
            If ``zarr.json`` cannot be read.
        ValueError
            If it does not describe a (T, D) array of a known dtype.
        """
        try:
            document = json.loads((folder / "zarr.json").read_bytes())
        except RecursionError as fault:
            raise ValueError("zarr.json is nested too deeply") from fault
        try:
            rows, dimension = document["shape"]
            chunk_rows, chunk_columns = document["chunk_grid"]["configuration"]["chunk_shape"]
            plain = (
                document["codecs"] == _CODECS
                and document["chunk_key_encoding"] == _CHUNK_KEYS
                and document["chunk_grid"]["name"] == "regular"
                and chunk_columns == dimension
            )
            array = cls(folder, (rows, dimension), document["data_type"], chunk_rows, plain, document["attributes"])
            sizes_fit = all(type(size) is int for size in (rows, dimension, chunk_rows))
            sizes_fit = sizes_fit and rows >= 0 and dimension >= 1 and chunk_rows >= 1
        except (KeyError, TypeError, ValueError) as fault:
            raise ValueError("zarr.json does not describe a (T, D) array") from fault
        if not sizes_fit or array.dtype not in DTYPES or not isinstance(array.attributes, dict):
            raise ValueError(f"zarr.json does not describe a (T, D) array of {' or '.join(DTYPES)}")
        return array

    def read(self) -> NDArray[Any]:
        """Return all values: (T, D) in the stored dtype.

        Raises
        ------
        OSError
            If a chunk file is absent or cannot be read.
        ValueError
            If a chunk file is too short.
        """
        values = self._room(self.shape[0])
        for start, stop in self._spans():
            self._read_rows(start, stop, values[start:stop])
        return values

    def crc32c(self) -> str:
        """Read all values chunk by chunk and return their CRC-32C; raises as `read` does."""
        chunk = self._room(self.chunk_rows)
        checksum = 0
        for start, stop in self._spans():
            rows = chunk[: stop - start]
            self._read_rows(start, stop, rows)
            checksum = google_crc32c.extend(checksum, rows.tobytes())
        return f"{checksum:08x}"

    def _room(self, rows: int) -> NDArray[Any]:
        try:
            return np.empty((rows, self.shape[1]), little_endian(self.dtype))
        except (MemoryError, OverflowError, ValueError) as fault:  # NumPy raises any of these
            raise ValueError(f"the shape in zarr.json, {rows} x {self.shape[1]}, does not fit in memory") from fault

    def _spans(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.shape[0], self.chunk_rows):
            yield start, min(start + self.chunk_rows, self.shape[0])

    def _read_rows(self, start: int, stop: int, rows: NDArray[Any]) -> None:
        """Fill `rows`, (stop - start, D), with one chunk."""
        if not self.plain:
            import zarr

            place = self.folder if isinstance(self.folder, Path) else self.folder.address.url
            try:
                rows[...] = zarr.open_array(place, mode="r")[start:stop]
            except OSError:
                raise
            except Exception as fault:  # Zarr and its codecs may raise anything for a damaged array
                raise ValueError(f"Zarr cannot read it: {' '.join(str(fault).split())}") from fault
            return
        name = f"c.{start // self.chunk_rows}.0"
        if isinstance(self.folder, Path):
            with (self.folder / name).open("rb", buffering=0) as file:
                count = file.readinto(rows.data.cast("B"))
        else:
            data = (self.folder / name).read_bytes()[: rows.nbytes]
            count = len(data)
            rows.data.cast("B")[:count] = data
        if count != rows.nbytes:
            raise ValueError(f"{name} holds {count} bytes, expected {rows.nbytes}")


def little_endian(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the little-endian dtype, as stored."""
    return np.dtype(dtype).newbyteorder("<")


def checksum_of(blocks: Iterator[NDArray[Any]]) -> str:
    """Return the CRC-32C of rows given block by block, in hexadecimal."""
    checksum = 0
    for block in blocks:
        checksum = google_crc32c.extend(checksum, block.tobytes())
    return f"{checksum:08x}"


def write_array(folder: Path, features: NDArray[Any], dtype: str, attributes: dict[str, Any]) -> None:
    """Write a new Zarr array: uncompressed, in equal chunks of at most `MAX_CHUNK_ROWS` rows.

    The files are identical to those that Zarr writes (tests compare them) but are written in a fraction of the time.

    Parameters
    ----------
    folder : Path
        An empty folder.
    features : (T, D) array
        Finite and within the dtype's range.
    dtype : {"float16", "float32"}
        Type of the stored values.
    attributes : dict
        Attributes of the array, JSON-ready.
    """
    length, dimension = features.shape
    # Equal chunks: the last one is padded to full size on disk.
    chunk_rows = max(1, math.ceil(length / max(1, math.ceil(length / MAX_CHUNK_ROWS))))
    document = {
        "shape": [length, dimension],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk_rows, dimension]}},
        "chunk_key_encoding": _CHUNK_KEYS,
        "fill_value": "NaN",  # any Zarr tool then shows a lost chunk as NaN, not as zeros
        "codecs": _CODECS,
        "attributes": attributes,
        "dimension_names": ["time", "feature"],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    (folder / "zarr.json").write_bytes(json.dumps(document, indent=2, allow_nan=False).encode())
    for start in range(0, length, chunk_rows):
        rows = features[start : start + chunk_rows].astype(little_endian(dtype), order="C", copy=False)
        with (folder / f"c.{start // chunk_rows}.0").open("wb", buffering=0) as file:
            _write_all(file, rows.data.cast("B"))
            if len(rows) < chunk_rows:
                padding = np.full((chunk_rows - len(rows), dimension), np.nan, little_endian(dtype))
                _write_all(file, padding.data.cast("B"))


def _write_all(file: FileIO, data: memoryview) -> None:
    """Write all bytes; one call may write only some of them."""
    while data:
        data = data[file.write(data) :]
