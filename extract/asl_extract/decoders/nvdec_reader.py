"""Read a video with a GPU's own decoder, NVDEC, by torchcodec: frames never leave the GPU.

torchcodec itself decodes on the CPU what NVDEC cannot (codecs other than H.264, HEVC, AV1, VP8, VP9 and MPEG-4;
bits, colours and sizes that the GPU does not know), and says so only when asked. Such a video is refused here:
the frames would be slightly different from those that the store records.

NVDEC hides damage as FFmpeg does, and torchcodec does not ask which frames it made up: see `concealment`,
which hears FFmpeg alone. What FFmpeg reads of such a video is the container.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from asl_extract.decoders import torchcodec_reader
from asl_extract.decoders.torchcodec_reader import TensorReader
from asl_kit.errors import MissingDependencyError, VideoError

if not torchcodec_reader.SAYS_WHO_DECODES:
    raise MissingDependencyError(
        f"decoder 'nvdec' needs a newer torchcodec: {torchcodec_reader.version()} does not say whether the GPU decodes",
        hint="pip install --upgrade torchcodec",
    )


def version() -> str:
    """Return ``nvdec``, and torchcodec and its version in brackets."""
    return f"nvdec ({torchcodec_reader.version()})"


class NvdecReader(TensorReader):
    """One video, read forward by NVDEC.

    Parameters
    ----------
    path : Path
        The video file.
    device : str
        The GPU.

    Raises
    ------
    MissingFileError, VideoError
        As `asl_extract.decoders.probe.probe`, or if this GPU's NVDEC cannot decode the video.
    MissingDependencyError
        If the library of NVDEC cannot be loaded.
    """

    def __init__(self, path: Path, *, device: str) -> None:
        super().__init__(path, name="nvdec", device=device, threads=1)
        fallback = self._decoder.cpu_fallback
        if fallback and "NVcuvid unavailable" in str(fallback):
            raise MissingDependencyError(
                "NVDEC's library, libnvcuvid, cannot be loaded",
                hint="install the whole GPU driver (in a container NVIDIA_DRIVER_CAPABILITIES must name `video`),"
                " or use --decoder pyav",
            )
        if fallback:
            raise VideoError(
                f"{path}: this GPU's NVDEC cannot decode it: {self.codec}, {self.width}x{self.height}",
                hint="use another --decoder, into a store of its own: frames decoded on a GPU and on a CPU differ",
            )

    def blocks(self, max_frames: int) -> Iterator[Tensor]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3) of RGB, on the GPU."""
        return self.tensors(max_frames)


def open_reader(path: Path, *, threads: int = 1, device: str) -> NvdecReader:
    """Open a video with NVDEC; it has no threads."""
    return NvdecReader(path, device=device)
