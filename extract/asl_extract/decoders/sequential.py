"""Base class of readers whose decoder returns one frame at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from asl_extract.decoders import Frames
from asl_extract.decoders.probe import VideoProbe
from asl_kit.errors import VideoError


class SequentialReader(ABC):
    """One video, read from start to end, a frame at a time.

    Parameters
    ----------
    path : Path
        The video file, which the subclass has opened.
    facts : VideoProbe
        Facts from its index.
    """

    def __init__(self, path: Path, facts: VideoProbe) -> None:
        self._path = path
        self.frame_count = facts.frame_count
        self.fps = facts.fps
        self.display_s = facts.display_s
        self.note = facts.note
        self._axis = facts.mirrored_axis
        # The first frame has the displayed size, after any rotation.
        self._first = self._next(0)
        self.height, self.width = self._first.shape[:2]

    @abstractmethod
    def _next(self, index: int) -> Frames:
        """Decode the next frame, number `index`: (height, width, 3) of RGB, or (height, width, 2) of optical flow."""

    def _next_into(self, index: int, out: Frames) -> None:
        """Decode the next frame into `out`, which has the size of the first one."""
        frame = self._next(index)
        if frame.shape != out.shape:
            raise VideoError(
                f"{self._path}: frame {index} is {frame.shape[1]}x{frame.shape[0]}, "
                f"the first is {self.width}x{self.height}"
            )
        out[...] = self._shown(frame)

    def _shown(self, frame: Frames) -> Frames:
        """Return a frame as players show it."""
        return frame if self._axis is None else np.flip(frame, self._axis)

    @abstractmethod
    def _check(self) -> Generator[None, None, None]:
        """Raise if the frames so far are damaged; it is called after each block, and yields during long work."""

    def blocks(self, max_frames: int) -> Iterator[Frames]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3 or 2)."""
        for start in range(0, self.frame_count, max_frames):
            size = min(max_frames, self.frame_count - start)
            block = np.empty((size, *self._first.shape), dtype=np.uint8)
            if start == 0:
                block[0] = self._shown(self._first)
            for offset in range(start == 0, size):
                self._next_into(start + offset, block[offset])
            for _ in self._check():
                yield block[:0]
            yield block
