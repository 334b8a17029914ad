"""Read a video with torchcodec: PyTorch's own decoder, an extra of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asl_extract.decoders import Frames
from asl_extract.decoders.concealment import FFmpegLog, Suspicion
from asl_extract.decoders.probe import location, probe, stopped
from asl_kit.errors import MissingDependencyError

try:
    import torch
    import torchcodec
    from torchcodec.decoders import VideoDecoder
except (ImportError, OSError, RuntimeError) as fault:  # RuntimeError: no FFmpeg libraries that it can load
    raise MissingDependencyError(
        "decoder 'torchcodec' cannot be loaded: it needs the torchcodec package and FFmpeg's libraries",
        hint="pip install 'asl-kit[torchcodec]' and install FFmpeg, or use --decoder pyav",
    ) from fault

# torchcodec loads one of its libraries, by the FFmpeg that it finds.
_CORE = next((path for path in torch.ops.loaded_libraries if "torchcodec_core" in path), "")
_LOG = FFmpegLog(Path(_CORE))


def version() -> str:
    """Return ``torchcodec`` and its version."""
    return f"torchcodec {torchcodec.__version__}"


class TorchcodecReader:
    """One video, read forward by torchcodec in its exact seek mode.

    Parameters
    ----------
    path : Path
        The video file.
    threads : int
        Decoding threads; 0: as many as there are cores.

    Raises
    ------
    MissingFileError, VideoError
        As `asl_extract.decoders.probe.probe`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        facts = probe(path)
        self._path = path
        self._suspicion = Suspicion(path, _LOG)
        self.frame_count = facts.frame_count
        self.fps = facts.fps
        self.display_s = facts.display_s
        try:
            self._decoder = VideoDecoder(
                location(path),
                stream_index=facts.stream_index,
                dimension_order="NHWC",
                num_ffmpeg_threads=threads,
                seek_mode="exact",
            )
        except (ValueError, RuntimeError) as fault:
            raise stopped(path, decoder="torchcodec", found=0, expected=facts.frame_count) from fault
        first = self._read(0, 1)
        self.height, self.width = first.shape[1:3]

    def blocks(self, max_frames: int) -> Iterator[Frames]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3) of RGB."""
        for start in range(0, self.frame_count, max_frames):
            frames = self._read(start, min(start + max_frames, self.frame_count))
            for _ in self._suspicion.check():
                yield frames[:0]
            yield frames

    def close(self) -> None:
        """Let go of the file."""

    def _read(self, start: int, stop: int) -> Frames:
        try:
            frames: Frames = self._decoder.get_frames_in_range(start, stop).data.numpy()
        except (IndexError, RuntimeError) as fault:
            raise stopped(self._path, decoder="torchcodec", found=start, expected=self.frame_count) from fault
        return frames


def open_reader(path: Path, *, threads: int = 1) -> TorchcodecReader:
    """Open a video with torchcodec."""
    return TorchcodecReader(path, threads=threads)
