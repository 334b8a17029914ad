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
from typing import Any

from torch import Tensor
from torchcodec import decoders
from torchcodec.decoders import VideoDecoder

from asl_extract.decoders import torchcodec_reader
from asl_extract.decoders.torchcodec_reader import TensorReader
from asl_kit.errors import MissingDependencyError, VideoError

_BACKEND = "nvdec"
_INSTALL = "pip install 'torchcodec>=0.17': it needs torch 2.11 or later, for CUDA 13"


def _check_torchcodec() -> None:
    """Refuse a torchcodec that cannot be asked for NVDEC, says not who decodes, or cannot do without its cache."""
    lacks = [name for name in ("set_cuda_backend", "set_nvdec_cache_capacity") if not hasattr(decoders, name)]
    lacks += [] if hasattr(VideoDecoder, "cpu_fallback") else ["cpu_fallback"]
    if not lacks:
        try:
            with decoders.set_cuda_backend(_BACKEND):
                return
        except ValueError:  # it has another name there
            lacks = [f"the backend {_BACKEND!r}"]
    raise MissingDependencyError(
        f"decoder 'nvdec' needs a newer torchcodec: {torchcodec_reader.version()} lacks {lacks[0]}", hint=_INSTALL
    )


_check_torchcodec()


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
        If torchcodec is built without CUDA, or NVDEC's library cannot be loaded.
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

    def _open(self, source: str, **options: Any) -> VideoDecoder:
        try:
            # Kept decoders are used again for videos of another height, whose frames they cut wrongly without an error:
            # https://github.com/meta-pytorch/torchcodec/issues/1704
            decoders.set_nvdec_cache_capacity(0)
            with decoders.set_cuda_backend(_BACKEND):
                return super()._open(source, **options)
        except RuntimeError as fault:
            if "Unsupported device" not in str(fault):
                raise
            raise MissingDependencyError(
                f"decoder 'nvdec' needs a torchcodec for CUDA, found {torchcodec_reader.version()} for the CPU only",
                hint=_INSTALL,
            ) from fault

    def blocks(self, max_frames: int) -> Iterator[Tensor]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3) of RGB, on the GPU."""
        return self.tensors(max_frames)


def open_reader(path: Path, *, threads: int = 1, device: str) -> NvdecReader:
    """Open a video with NVDEC; it has no threads."""
    return NvdecReader(path, device=device)
