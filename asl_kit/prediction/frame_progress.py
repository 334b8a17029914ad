"""Progress over the frames of many videos, most of which are still to be opened."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from asl_extract.videos import Video
from asl_kit.base.console import ProgressBar
from asl_kit.base.image_names import image_sizes
from asl_kit.remote.address import Address


class FrameProgress:
    """Counts decoded frames; estimates those of videos that have not been opened from their file sizes."""

    def __init__(self, bar: ProgressBar, files: Sequence[Video]) -> None:
        self._bar = bar
        self._closed_bytes = {file.video_id: _size(file.path) for file in files}
        self._opened_bytes = 0
        self._opened_frames = 0
        self._left: dict[str, float] = {}
        self._done = 0.0
        self._started_s = time.monotonic()

    def advance(self, file: Video, frames: float, total: int) -> None:
        """Count frames of a video that has `total`."""
        if file.video_id in self._closed_bytes:
            self._opened_bytes += self._closed_bytes.pop(file.video_id)
            self._opened_frames += total
            self._left[file.video_id] = float(total)
            self._expect()
        self._left[file.video_id] -= frames
        self._done += frames
        elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
        self._bar.note(f"{self._done / elapsed_s:.0f} frames/s  {file.path.name}")
        self._bar.advance(frames)

    def finish(self, file: Video) -> None:
        """Expect no more frames of a video, whether or not it was decoded completely."""
        self._closed_bytes.pop(file.video_id, None)
        self._opened_frames -= round(self._left.pop(file.video_id, 0.0))
        self._expect()

    def _expect(self) -> None:
        per_byte = self._opened_frames / self._opened_bytes if self._opened_bytes else 0.0
        self._bar.expect(self._opened_frames + round(per_byte * sum(self._closed_bytes.values())))


def _size(path: Path | Address) -> int:
    if isinstance(path, Address):
        return 0
    with suppress(OSError):
        return sum(image_sizes(path).values()) if path.is_dir() else path.stat().st_size
    return 0
