"""Reads a video with the GPU's decoder, NVDEC, through torchcodec: frames never leave the GPU.

torchcodec falls back to the CPU for videos that NVDEC cannot decode (codecs other than H.264, HEVC, AV1, VP8, VP9 and
MPEG-4; unsupported bit depths, chroma formats and sizes), without an error. Such videos are refused here, because
their frames would differ slightly from those of the decoder that the store records.

NVDEC conceals damage like FFmpeg, and torchcodec does not report which frames are concealed. `concealment` sees only
the errors of FFmpeg, which here reads the container.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from asl_extract.decoders import torchcodec_reader
from asl_extract.decoders.torchcodec_reader import TensorReader
from asl_kit.errors import MissingDependencyError, VideoError

if not torchcodec_reader.REPORTS_FALLBACK:
    raise MissingDependencyError(
        f"decoder 'nvdec' needs a newer torchcodec: {torchcodec_reader.version()} cannot tell whether the GPU decodes",
        hint="pip install --upgrade torchcodec",
    )


def version() -> str:
    """Return ``nvdec``, with torchcodec and its version in brackets."""
    return f"nvdec ({torchcodec_reader.version()})"


class NvdecReader(TensorReader):
    """One video, read from start to end by NVDEC.

    Parameters
    ----------
    path : Path
        The video file.
    device : str
        The GPU.

    Raises
    ------
    MissingFileError, VideoError
        As for `asl_extract.decoders.probe.probe`, and if this GPU's NVDEC cannot decode the video.
    MissingDependencyError
        If NVDEC's library cannot be loaded.
    """

    def __init__(self, path: Path, *, device: str) -> None:
        super().__init__(path, name="nvdec", device=device, threads=1)
        fallback = self._decoder.cpu_fallback
        if fallback and "NVcuvid unavailable" in str(fallback):
            raise MissingDependencyError(
                "NVDEC's library, libnvcuvid, cannot be loaded",
                hint="install the full GPU driver (in a container, NVIDIA_DRIVER_CAPABILITIES must include `video`),"
                " or use --decoder pyav",
            )
        if fallback:
            raise VideoError(
                f"{path}: this GPU's NVDEC cannot decode it: {self.codec}, {self.width}x{self.height}",
                hint="use another --decoder and a separate store: frames decoded on a GPU and on a CPU differ",
            )

    def blocks(self, max_frames: int) -> Iterator[Tensor]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3) of RGB, on the GPU."""
        return self.tensors(max_frames)


def open_reader(path: Path, *, threads: int = 1, device: str) -> NvdecReader:
    """Open a video with NVDEC; it has no threads."""
    return NvdecReader(path, device=device)
