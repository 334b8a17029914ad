"""Reads a video whose frames are images, whatever the decoder for video files is.

JPEG and WebP, which lose detail, are decoded by libjpeg-turbo and libwebp, and give the pixels that OpenCV and Pillow
give; FFmpeg's own decoders do not, and are slower. simplejpeg decodes JPEG into the memory where a frame is wanted;
torchvision decodes WebP, and JPEG that Exif data may turn. PNG and BMP are lossless: every decoder gives the same
pixels. PyAV reads them, because torchvision crashes on a damaged PNG.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import av
import numpy as np
import simplejpeg

from asl_extract.decoders import Frames, pyav_reader
from asl_extract.decoders.image_files import FLOW_HINT, ImageFiles, ImageSequence, open_images
from asl_extract.decoders.probe import VideoProbe
from asl_extract.decoders.sequential import SequentialReader
from asl_kit.errors import VideoError

_LOSSLESS = {"BMP": "bmp", "PNG": "png"}
"""FFmpeg's names of the decoders."""

_READERS, _READ_TOGETHER = 4, 4
"""Threads that read images, and images that one of them reads in one go; together, those that are in memory."""

_SCAN = b"\xff\xda"
"""The marker of JPEG that begins the picture, after all Exif data."""


def version(kind: str) -> str:
    """Return the name and version of the decoder for a kind of images: ``simplejpeg 1.9.0``."""
    if kind in _LOSSLESS:
        return pyav_reader.version()
    if kind == "JPEG":
        return f"simplejpeg {simplejpeg.__version__}"
    import torchvision

    return f"torchvision {torchvision.__version__}"


class ImageReader(SequentialReader):
    """A folder or a tar of numbered images, read from the first to the last.

    Parameters
    ----------
    source : ImageSequence
        The images.
    flow : bool
        Whether to read optical flow: frames are then (height, width, 2), horizontal and vertical.

    Attributes
    ----------
    image_decoder : str
        Name and version of what decodes the images.
    note : str
        Files beside the images, which are ignored.

    Raises
    ------
    MissingFileError, VideoError
        As for `asl_extract.decoders.image_files.open_images`; or if the images are not what `flow` says, or the first
        one cannot be read.
    """

    def __init__(self, source: ImageSequence, *, flow: bool = False) -> None:
        self._source = source
        self._images = open_images(source.path, flow=flow)
        kind = self._images.kind
        if self._images.is_flow != flow:
            self._images.close()
            raise _not_wanted(source, self._images.names, is_flow=self._images.is_flow)
        self._ahead = _ReadAhead(self._images)
        self._decode = _decoder(kind, grey=flow)
        self.image_decoder = version(kind)
        facts = VideoProbe(
            self._images.frame_count, source.fps, codec=kind, stream_index=0, films=1, note=self._images.note
        )
        super().__init__(source.path, facts)

    def close(self) -> None:
        """Close the archive."""
        self._ahead.close()
        self._images.close()

    def _next(self, index: int) -> Frames:
        if self._images.is_flow:
            return np.stack([self._image(2 * index), self._image(2 * index + 1)], axis=2)
        return self._image(index)

    def _next_into(self, index: int, out: Frames) -> None:
        frame = self._next(index) if self._images.is_flow else self._image(index, out)
        if not np.may_share_memory(frame, out):
            out[...] = frame

    def _image(self, index: int, out: Frames | None = None) -> Frames:
        name = self._images.names[index]
        try:
            data = self._ahead.next()
            image = self._decode(data, out) if data else None
        except (OSError, RuntimeError, ValueError, av.error.FFmpegError) as fault:
            _, of_torchvision, reason = str(fault).rpartition(".cpp:")
            reason = reason.partition(", ")[2] if of_torchvision else reason
            raise VideoError(
                f"{self._source}: {name} is not a {self._images.kind} image that can be read: {reason}",
                hint="copy or download the images again",
            ) from fault
        if image is None:
            raise VideoError(f"{self._source}: {name} is empty", hint="copy or download the images again")
        if not index:
            self._shape = image.shape
        elif image.shape != self._shape:
            raise VideoError(
                f"{self._source}: {name} is {image.shape[1]}x{image.shape[0]}, "
                f"the first, {self._images.names[0]}, is {self._shape[1]}x{self._shape[0]}"
            )
        return image

    def _check(self) -> Generator[None, None, None]:
        """Do nothing: each image is checked as it is decoded."""
        yield from ()


class _ReadAhead:
    """Reads the bytes of images in threads, in order: a network disk takes longer to find a file than to send it."""

    def __init__(self, images: ImageFiles) -> None:
        self._images = images
        self._threads = ThreadPoolExecutor(_READERS, "asl-kit images")
        self._reading: deque[Future[list[bytearray | OSError]]] = deque()
        self._read: deque[bytearray | OSError] = deque()
        self._asked_for = 0

    def next(self) -> bytearray:
        """Return the bytes of the next image; raises OSError as `ImageFiles.read` does."""
        if not self._read:
            while len(self._reading) < _READERS and self._asked_for < len(self._images.names):
                start, self._asked_for = self._asked_for, self._asked_for + _READ_TOGETHER
                self._reading.append(self._threads.submit(self._read_some, start))
            self._read.extend(self._reading.popleft().result())
        data = self._read.popleft()
        if isinstance(data, OSError):
            raise data
        return data

    def _read_some(self, start: int) -> list[bytearray | OSError]:
        found: list[bytearray | OSError] = []
        for index in range(start, min(start + _READ_TOGETHER, len(self._images.names))):
            try:
                found.append(self._images.read(index))
            except OSError as fault:
                found.append(fault)
        return found

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)


def _not_wanted(source: ImageSequence, names: list[str], *, is_flow: bool) -> VideoError:
    if is_flow:
        return VideoError(
            f"{source}: these images hold optical flow ({names[0]}, {names[1]}), and RGB frames are expected",
            hint="use a backbone for flow: --backbone i3d_flow --flow images",
        )
    return VideoError(
        f"{source}: optical flow is expected, horizontal and vertical; found only {names[0]} to {names[-1]}",
        hint=FLOW_HINT,
    )


Decode = Callable[[bytearray, Frames | None], Frames]
"""Returns an image, (H, W, 3) or (H, W); it may be written into a frame that is given, if its size is the same."""


def _decoder(kind: str, *, grey: bool) -> Decode:
    if kind in _LOSSLESS:
        return _lossless(_LOSSLESS[kind], grey=grey)
    return partial(_jpeg if kind == "JPEG" else _webp, grey=grey)


def _lossless(codec: str, *, grey: bool) -> Decode:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "crccheck+explode"}

    def decode(data: bytearray, out: Frames | None) -> Frames:
        packet = av.Packet(bytes(data))
        packet.is_keyframe = True  # else FFmpeg adds the image before it, as in AVI files of PNG
        frames = context.decode(packet)
        if not frames:
            raise ValueError("no picture in it")
        if grey:
            _check_grey(frames[0].format.name)
        image: Frames = frames[0].to_ndarray(format="gray" if grey else "rgb24")
        return image

    return decode


def _jpeg(data: bytearray, out: Frames | None, *, grey: bool) -> Frames:
    if grey:
        _check_grey(simplejpeg.decode_jpeg_header(data)[2])
        image: Frames = simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
        return image
    if data.find(b"Exif\0\0", 0, data.find(_SCAN)) >= 0:
        return _upright(data)
    try:
        image = simplejpeg.decode_jpeg(data, buffer=out)
    except ValueError:  # damaged, or larger than `out`
        image = simplejpeg.decode_jpeg(data)
    return image


def _upright(data: bytearray) -> Frames:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    pixels = torch.frombuffer(data, dtype=torch.uint8)
    image: Frames = decode_jpeg(pixels, ImageReadMode.RGB, apply_exif_orientation=True).permute(1, 2, 0).numpy()
    return image


def _webp(data: bytearray, out: Frames | None, *, grey: bool) -> Frames:
    import torch
    from torchvision.io import ImageReadMode, decode_webp

    if grey:
        _check_grey("WebP, which is always in colour")
    image: Frames = decode_webp(torch.frombuffer(data, dtype=torch.uint8), ImageReadMode.RGB).permute(1, 2, 0).numpy()
    return image


def _check_grey(colours: str) -> None:
    if colours.lower() != "gray":
        raise ValueError(f"optical flow is 8-bit grey, found {colours}")
