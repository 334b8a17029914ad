"""Reads a video with torchcodec, PyTorch's decoder, an extra of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asl_extract.decoders import Frames
from asl_extract.decoders.concealment import DamageCheck, FFmpegLog
from asl_extract.decoders.containers import location
from asl_extract.decoders.probe import probe, stopped
from asl_kit.errors import AslKitError, MissingDependencyError

try:
    import torch
    import torchcodec
    from torchcodec.decoders import VideoDecoder
except (ImportError, OSError, RuntimeError) as fault:  # RuntimeError: it finds no FFmpeg libraries to load
    raise MissingDependencyError(
        "decoder 'torchcodec' cannot be loaded: it needs the torchcodec package and FFmpeg's libraries",
        hint="pip install 'asl-kit[torchcodec]' and install FFmpeg, or use --decoder pyav",
    ) from fault

# torchcodec loads the one of its libraries that matches the installed FFmpeg.
_CORE = next((path for path in torch.ops.loaded_libraries if "torchcodec_core" in path), "")
_LOG = FFmpegLog(Path(_CORE))


def version() -> str:
    """Return ``torchcodec`` and its version."""
    return f"torchcodec {torchcodec.__version__}"


class TensorReader:
    """One video, read from start to end by torchcodec in its exact seek mode, as tensors.

    Parameters
    ----------
    path : Path
        The video file.
    name : str
        The decoder's name.
    device : str
        Device that decodes.
    threads : int
        Decoding threads on a CPU; 0: one per core.

    Raises
    ------
    MissingFileError, VideoError
        As for `asl_extract.decoders.probe.probe`.
    AslKitError
        If the device has too little memory.
    """

    def __init__(self, path: Path, *, name: str, device: str, threads: int) -> None:
        facts = probe(path)
        self._path = path
        self._name = name
        self._damage_check = DamageCheck(path, _LOG)
        self.codec = facts.codec
        self.frame_count = facts.frame_count
        self.fps = facts.fps
        self.display_s = facts.display_s
        self.note = facts.note
        self._axis = facts.mirrored_axis
        try:
            self._decoder = self._open(
                location(path),
                stream_index=facts.stream_index,
                dimension_order="NHWC",
                num_ffmpeg_threads=threads,
                device=device,
                seek_mode="exact",
            )
        except (ValueError, RuntimeError) as fault:
            raise stopped(path, decoder=name, found=0, expected=facts.frame_count) from fault
        first = self._read(0, 1)
        self.height, self.width = first.shape[1:3]

    def tensors(self, max_frames: int) -> Iterator[torch.Tensor]:
        """Yield the blocks of `asl_extract.decoders.FrameReader`, on the device that decoded them."""
        for start in range(0, self.frame_count, max_frames):
            frames = self._read(start, min(start + max_frames, self.frame_count))
            for _ in self._damage_check.check():
                yield frames[:0]
            yield frames

    def close(self) -> None:
        """Close the file and free the decoder."""
        del self._decoder

    def _open(self, source: str, **options: Any) -> VideoDecoder:
        return VideoDecoder(source, **options)

    def _read(self, start: int, stop: int) -> torch.Tensor:
        try:
            frames: torch.Tensor = self._decoder.get_frames_in_range(start, stop).data
        except torch.OutOfMemoryError as fault:
            raise AslKitError(
                f"{self._path}: the device has too little memory to decode it", hint="use a smaller --batch-size"
            ) from fault
        except (IndexError, RuntimeError) as fault:
            raise stopped(self._path, decoder=self._name, found=start, expected=self.frame_count) from fault
        return frames if self._axis is None else frames.flip(self._axis + 1)


class TorchcodecReader(TensorReader):
    """One video, read from start to end by torchcodec on the CPU.

    Parameters
    ----------
    path : Path
        The video file.
    threads : int
        Decoding threads; 0: one per core.

    Raises
    ------
    MissingFileError, VideoError
        As for `asl_extract.decoders.probe.probe`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        super().__init__(path, name="torchcodec", device="cpu", threads=threads)

    def blocks(self, max_frames: int) -> Iterator[Frames]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3) of RGB."""
        for frames in self.tensors(max_frames):
            yield frames.numpy()


def open_reader(path: Path, *, threads: int = 1, device: str = "cpu") -> TorchcodecReader:
    """Open a video with torchcodec."""
    return TorchcodecReader(path, threads=threads)
