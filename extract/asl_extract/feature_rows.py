"""A video's features as they come, batch by batch: in memory, or in a file where they are many."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import AslKitError

MAX_BYTES_IN_MEMORY = 64 * 2**20


class FeatureRows:
    """Rows of float32, filled from the first to the last.

    They are copied to one place made at the start: small arrays kept one by one, between the large ones
    that come and go, would keep the system from taking those back.

    Parameters
    ----------
    length : int
        Rows that will come.
    folder : Path, optional
        Where a file is kept, nameless, so that it goes when the process does; the system's folder for such files.
    """

    def __init__(self, length: int, folder: Path | None = None) -> None:
        self.count = 0
        self._length = length
        self._folder = folder
        self._rows: NDArray[np.float32] | None = None
        self._file: IO[bytes] | None = None
        self._dimension = 0

    def __del__(self) -> None:
        if self._file is not None:  # a memory map of it lives on
            self._file.close()

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add rows: (N, D).

        Raises
        ------
        AslKitError
            If the disk refuses.
        """
        self._dimension = rows.shape[1]
        if self._length * self._dimension * rows.itemsize > MAX_BYTES_IN_MEMORY:
            self._write(rows)
        else:
            if self._rows is None:
                self._rows = np.empty((self._length, self._dimension), dtype=np.float32)
            self._rows[self.count : self.count + len(rows)] = rows
        self.count += len(rows)

    def array(self) -> NDArray[np.float32]:
        """Return all rows, (length, D): in memory, or a memory map of the file."""
        if self._rows is not None:
            return self._rows
        assert self._file is not None
        # Copied on write: torch takes no array that cannot be written.
        return np.memmap(self._file, np.float32, "c", shape=(self._length, self._dimension))

    def _write(self, rows: NDArray[np.float32]) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 (as long as the rows)
            left = np.ascontiguousarray(rows).data.cast("B")
            while left:
                left = left[self._file.write(left) :]
        except OSError as fault:
            place = self._folder or tempfile.gettempdir()
            raise AslKitError(
                f"{place}: the features of a long video cannot be kept: {fault.strerror or fault}",
                hint="free some space and run the same command again; what is stored stays valid",
            ) from fault
