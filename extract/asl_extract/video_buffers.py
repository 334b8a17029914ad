"""Buffers of a video during extraction: its last prepared frames, and its features.

Shapes: N frames or clips, T frames per clip, S x S pixels, C channels, D values per feature.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_extract.clip_plan import ClipPlan
from asl_extract.decoding.events import BLOCK_FRAMES
from asl_kit.errors import AslKitError

MAX_BYTES_IN_MEMORY = 64 * 2**20
"""Maximum size of a video's features in memory; more are kept in a file."""

_CLIPS_PLANNED = 256


class ClipWindow:
    """The last prepared frames of one video, from which its clips are taken in order.

    Parameters
    ----------
    plan : ClipPlan
        The frames of each clip, as positions in ``plan.source_frames``.
    """

    def __init__(self, plan: ClipPlan) -> None:
        self._plan = plan
        self._ring: Tensor | None = None
        self._filled = 0  # frames added so far; frame i is at i % len(ring)
        self._taken = 0
        self._planned_from = 0
        self._positions = np.empty((0, plan.clip_frames), dtype=np.int64)
        self._plan_more()

    @property
    def taken(self) -> int:
        """Number of clips taken so far."""
        return self._taken

    @property
    def ready(self) -> int:
        """Number of clips that can be taken; they must be taken before more frames are added."""
        last = self._positions[self._taken - self._planned_from :, -1]
        return int(np.searchsorted(last, self._filled))

    def add(self, frames: Tensor) -> None:
        """Add the next prepared frames: (N, S, S, C), N up to `BLOCK_FRAMES`."""
        if self._ring is None:
            # The frames of one clip, and a block.
            span = min(self._plan.window_frames, len(self._plan.source_frames))
            self._ring = frames.new_empty((span + BLOCK_FRAMES, *frames.shape[1:]))
        start = self._filled % len(self._ring)
        fits = min(len(frames), len(self._ring) - start)
        self._ring[start : start + fits] = frames[:fits]
        self._ring[: len(frames) - fits] = frames[fits:]
        self._filled += len(frames)

    def take(self, out: Tensor) -> None:
        """Write the next clips into `out`: (N, T, S, S, C), N up to `ready`."""
        assert self._ring is not None
        first = self._taken - self._planned_from
        positions = self._positions[first : first + len(out)].ravel() % len(self._ring)
        slots = torch.from_numpy(positions).to(out.device, non_blocking=True)
        torch.index_select(self._ring, 0, slots, out=out.flatten(0, 1))
        self._taken += len(out)
        if self._taken == self._planned_from + len(self._positions):
            self._plan_more()

    def _plan_more(self) -> None:
        self._planned_from = self._taken
        self._positions = self._plan.positions(self._taken, min(self._taken + _CLIPS_PLANNED, self._plan.length))


class FeatureRows:
    """Rows of float32, filled in order.

    They are copied into one array, because many small arrays among short-lived large ones would fragment the memory.

    Parameters
    ----------
    folder : Path, optional
        Folder for an unnamed temporary file, which ends with the process; None: the system's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.count = 0
        self._folder = folder
        self._rows: NDArray[np.float32] | None = None
        self._file: IO[bytes] | None = None
        self._dimension = 0

    def __del__(self) -> None:
        if self._file is not None:  # memory maps of it stay valid
            self._file.close()

    def append(self, rows: NDArray[np.float32], *, length: int) -> None:
        """Append rows, (N, D); there will be `length` in total.

        Raises
        ------
        AslKitError
            If the disk is full.
        """
        self._dimension = rows.shape[1]
        if length * self._dimension * rows.itemsize > MAX_BYTES_IN_MEMORY:
            self._write(rows)
        else:
            if self._rows is None:
                self._rows = np.empty((length, self._dimension), dtype=np.float32)
            self._rows[self.count : self.count + len(rows)] = rows
        self.count += len(rows)

    def array(self) -> NDArray[np.float32]:
        """Return all rows, (length, D), or a memory map of the file."""
        if self._rows is not None:
            return self._rows
        assert self._file is not None
        # Copied on write: torch does not take read-only arrays.
        return np.memmap(self._file, np.float32, "c", shape=(self.count, self._dimension))

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
                f"{place}: cannot write the features of a long video: {fault.strerror or fault}",
                hint="free some space and run the same command again; stored features remain valid",
            ) from fault
