"""Reads a video whose frames are images, whatever the decoder for video files is.

JPEG and WebP, which lose detail, are decoded by torchvision with libjpeg-turbo and libwebp, and give the pixels that
OpenCV and Pillow give; FFmpeg's own decoders do not, and are slower. PNG and BMP are lossless: every decoder gives the
same pixels. PyAV reads them, because torchvision crashes on a damaged PNG.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import av

from asl_extract.decoders import Frames, pyav_reader
from asl_extract.decoders.image_files import ImageSequence, open_images
from asl_extract.decoders.probe import VideoProbe
from asl_extract.decoders.sequential import SequentialReader
from asl_kit.errors import VideoError

_LOSSLESS = {"BMP": "bmp", "PNG": "png"}
"""FFmpeg's names of the decoders."""


def version(kind: str) -> str:
    """Return the name and version of the decoder for a kind of images: ``torchvision 0.21.0``."""
    if kind in _LOSSLESS:
        return pyav_reader.version()
    import torchvision

    return f"torchvision {torchvision.__version__}"


class ImageReader(SequentialReader):
    """A folder or a tar of numbered images, read from the first to the last.

    Parameters
    ----------
    source : ImageSequence
        The images.

    Attributes
    ----------
    image_decoder : str
        Name and version of what decodes the images.
    note : str
        Files beside the images, which are ignored.

    Raises
    ------
    MissingFileError, VideoError
        As for `asl_extract.decoders.image_files.open_images`, or if the first image cannot be read.
    """

    def __init__(self, source: ImageSequence) -> None:
        self._source = source
        self._images = open_images(source.path)
        kind = self._images.kind
        self._decode = _LOSSY[kind] if kind in _LOSSY else _lossless(_LOSSLESS[kind])
        self.image_decoder = version(kind)
        facts = VideoProbe(
            len(self._images.names), source.fps, codec=kind, stream_index=0, films=1, note=self._images.note
        )
        super().__init__(source.path, facts)

    def close(self) -> None:
        """Close the archive."""
        self._images.close()

    def _next(self, index: int) -> Frames:
        name = self._images.names[index]
        try:
            data = self._images.read(index)
            frame = self._decode(data) if data else None
        except (OSError, RuntimeError, ValueError, av.error.FFmpegError) as fault:
            reason = str(fault).rpartition(".cpp:")[2].partition(", ")[2] or str(fault)
            raise VideoError(
                f"{self._source}: {name} is not a {self._images.kind} image that can be read: {reason}",
                hint="copy or download the images again",
            ) from fault
        if frame is None:
            raise VideoError(f"{self._source}: {name} is empty", hint="copy or download the images again")
        if index and frame.shape != self._first.shape:
            raise VideoError(
                f"{self._source}: {name} is {frame.shape[1]}x{frame.shape[0]}, "
                f"the first, {self._images.names[0]}, is {self.width}x{self.height}"
            )
        return frame

    def _check(self) -> Generator[None, None, None]:
        """Do nothing: each image is checked as it is decoded."""
        yield from ()


def _lossless(codec: str) -> Callable[[bytearray], Frames]:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "crccheck+explode"}

    def decode(data: bytearray) -> Frames:
        packet = av.Packet(bytes(data))
        packet.is_keyframe = True  # else FFmpeg adds the image before it, as in AVI files of PNG
        frames = context.decode(packet)
        if not frames:
            raise ValueError("no picture in it")
        frame: Frames = frames[0].to_ndarray(format="rgb24")
        return frame

    return decode


def _jpeg(data: bytearray) -> Frames:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    pixels = torch.frombuffer(data, dtype=torch.uint8)
    frame: Frames = decode_jpeg(pixels, ImageReadMode.RGB, apply_exif_orientation=True).permute(1, 2, 0).numpy()
    return frame


def _webp(data: bytearray) -> Frames:
    import torch
    from torchvision.io import ImageReadMode, decode_webp

    frame: Frames = decode_webp(torch.frombuffer(data, dtype=torch.uint8), ImageReadMode.RGB).permute(1, 2, 0).numpy()
    return frame


_LOSSY = {"JPEG": _jpeg, "WebP": _webp}
