"""Reads a video with decord: forward, without seeking, each frame decoded once.

decord 0.6.0 hides three faults. If frames are missing at the end, it repeats the last
good frame; if a packet is damaged, it may drop frames that it has already decoded, or
return frames that FFmpeg concealed. Therefore repeats are errors (``fault_tol``), the
frames are counted and compared with the file's index, and FFmpeg's log is checked.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import decord
from decord._ffi.libinfo import find_lib_path

from asl_extract.decoders import Frames
from asl_extract.decoders.concealment import DamageCheck, FFmpegLog
from asl_extract.decoders.containers import location
from asl_extract.decoders.probe import count_decodable, probe, stopped, truncated
from asl_extract.decoders.sequential import SequentialReader
from asl_kit.errors import VideoError

# 0 allows any number of repeats; a fraction of the frames that is less than one frame allows none.
_NO_REPEATS = "0.000000000001"

decord.logging.set_level(decord.logging.QUIET)
_LOG = FFmpegLog(Path(find_lib_path()[0]))


def version() -> str:
    """Return ``decord`` and its version."""
    return f"decord {decord.__version__}"


class DecordReader(SequentialReader):
    """One video, read from start to end by decord.

    Parameters
    ----------
    path : Path
        The video file.
    threads : int
        Decoding threads; 0: one per core.

    Raises
    ------
    MissingFileError, VideoError
        As for `asl_extract.decoders.probe.probe`, and if decord cannot open the file.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        facts = probe(path)
        if facts.films > 1:
            raise VideoError(
                f"{path}: {facts.films} video streams, of which decord cannot choose one",
                hint="use --decoder pyav, or copy the right one: ffmpeg -i IN -map 0:v:0 -c copy OUT.mp4",
            )
        if facts.rotation and "matroska" in facts.container:
            raise VideoError(f"{path}: decord does not turn the pictures of Matroska files", hint="use --decoder pyav")
        self._damage_check = DamageCheck(path, _LOG)
        try:
            self._reader = decord.VideoReader(
                location(path), ctx=decord.cpu(0), num_threads=threads, fault_tol=_NO_REPEATS
            )
        except (decord.DECORDError, RuntimeError) as fault:
            if count_decodable(path, at_most=1) == 0:
                raise truncated(path, found=0, expected=facts.frame_count) from fault
            raise VideoError(
                f"{path}: decord {decord.__version__} cannot decode {facts.codec} video", hint="use --decoder pyav"
            ) from fault
        super().__init__(path, facts)

    def close(self) -> None:
        """Close the file."""
        self._reader = None

    def _next(self, index: int) -> Frames:
        try:
            frame: Frames = self._reader.next().asnumpy()
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, StopIteration) as fault:
            raise stopped(self._path, decoder="decord", found=index, expected=self.frame_count) from fault
        if frame.shape[2] != 3:  # a rotated frame whose rows are padded in memory
            raise VideoError(f"{self._path}: decord cannot rotate frames of this width", hint="use --decoder pyav")
        return frame

    def _check(self) -> Generator[None, None, None]:
        return self._damage_check.check()


def open_reader(path: Path, *, threads: int = 1, device: str = "cpu") -> DecordReader:
    """Open a video with decord."""
    return DecordReader(path, threads=threads)
