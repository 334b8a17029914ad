"""A video's features as they come, batch by batch: in memory, and in a file once there are many."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import AslKitError

MAX_BYTES_IN_MEMORY = 64 * 2**20


class FeatureRows:
    """Rows of float32, only ever appended to.

    Parameters
    ----------
    folder : Path, optional
        Where the file is kept, nameless, so that it goes when the process does; the system's folder for such files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.count = 0
        self._folder = folder
        self._blocks: list[NDArray[np.float32]] = []
        self._file: IO[bytes] | None = None
        self._dimension = 0

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add rows: (N, D).

        Raises
        ------
        AslKitError
            If the disk refuses.
        """
        self._blocks.append(rows)
        self.count += len(rows)
        self._dimension = rows.shape[1]
        if self._file is not None or self.count * self._dimension * rows.itemsize > MAX_BYTES_IN_MEMORY:
            self._write()

    def array(self) -> NDArray[np.float32]:
        """Return all rows, (count, D): in memory, or a memory map of the file."""
        if self._file is None:
            return np.concatenate(self._blocks)
        return np.memmap(self._file, np.float32, "r", shape=(self.count, self._dimension))

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 (as long as the rows)
            for block in self._blocks:
                left = np.ascontiguousarray(block).data.cast("B")
                while left:
                    left = left[self._file.write(left) :]
        except OSError as fault:
            place = self._folder or tempfile.gettempdir()
            raise AslKitError(
                f"{place}: the features of a long video cannot be kept: {fault.strerror or fault}",
                hint="free some space and run the same command again; what is stored stays valid",
            ) from fault
        self._blocks.clear()
