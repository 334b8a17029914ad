"""Decoders: each reads a video once from start to end, as RGB frames.

A decoder is a module with ``open_reader(path, threads, device) -> FrameReader`` and
``version() -> str``; it is imported when it is first used. Images are read by
`asl_extract.decoders.image_reader`, whatever the decoder is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asl_extract.decoders.image_files import ImageSequence
from asl_kit.errors import MissingDependencyError, UsageError, VideoError

if TYPE_CHECKING:  # decoder processes must start fast
    from torch import Tensor

Frames = NDArray[np.uint8]

VideoSource = Path | ImageSequence
"""A video file, or frames that are images."""

DEFAULT_DECODER = "pyav"
"""PyAV has wheels for every platform and buffers few frames; decord may decode far ahead."""

DECODERS = {
    "decord": "asl_extract.decoders.decord_reader",
    "nvdec": "asl_extract.decoders.nvdec_reader",
    "pyav": "asl_extract.decoders.pyav_reader",
    "torchcodec": "asl_extract.decoders.torchcodec_reader",
}

GPU_DECODERS = {"nvdec": "cuda"}
"""Decoders that return tensors on the device of the backbone, and the device type that they need."""


class FrameReader(Protocol):
    """One video, read from its first frame to its last, once."""

    @property
    def frame_count(self) -> int:
        """Number of frames in the file, according to its index."""

    @property
    def fps(self) -> float:
        """Frames per second; the average if the rate varies."""

    @property
    def display_s(self) -> NDArray[np.float64] | None:
        """Times at which each frame appears and the last one ends: (frame_count + 1,); None for a constant rate."""

    @property
    def width(self) -> int:
        """Width of a displayed frame, in pixels."""

    @property
    def height(self) -> int:
        """Height of a displayed frame, in pixels."""

    def blocks(self, max_frames: int) -> Iterator[Frames] | Iterator[Tensor]:
        """Yield every frame once, in order, in blocks (up to max_frames, height, width, 3) of RGB, uint8.

        The last dimension of images of optical flow is 2: horizontal and vertical. An empty block means that the
        reader is still working.

        Raises
        ------
        VideoError
            If the number of decoded frames is not `frame_count`, or a frame cannot be decoded.
        """

    def close(self) -> None:
        """Close the file."""


class Decoder(Protocol):
    """A module of this package."""

    def open_reader(self, path: Path, *, threads: int, device: str) -> FrameReader:
        """Open a video; `threads` are for decoders on a CPU, `device` is for `GPU_DECODERS`."""

    def version(self) -> str:
        """Return the decoder's name and version: ``decord 0.6.0``."""


def check_decoder(name: str, *, device: str, workers: int | None) -> None:
    """Check that a decoder supports this device (``cuda:1``) and number of decoder processes.

    Raises
    ------
    UsageError
        If it does not.
    """
    needed = GPU_DECODERS.get(name)
    if needed is None:
        return
    if device.partition(":")[0] != needed:
        raise UsageError(
            f"decoder {name} decodes on a GPU, but the device is {device}",
            hint="use --device cuda, or --decoder pyav, which works everywhere",
        )
    if workers:
        raise UsageError(
            f"decoder {name} decodes in the process of the backbone, got --workers {workers}", hint="omit --workers"
        )


def open_reader(
    source: VideoSource, decoder: str, *, threads: int, device: str, flow_images: bool = False
) -> FrameReader:
    """Open a video file with a decoder, or images; raises as `get_decoder` and the reader.

    With `flow_images`, the images must hold optical flow, and a video file is refused with a VideoError.
    """
    if isinstance(source, ImageSequence):
        from asl_extract.decoders.image_reader import ImageReader

        return ImageReader(source, flow=flow_images)
    if flow_images:
        raise VideoError(
            f"{source}: a video file, and images of optical flow are expected", hint="compute the flow: --flow tvl1"
        )
    return get_decoder(decoder).open_reader(source, threads=threads, device=device)


def get_decoder(name: str) -> Decoder:
    """Return a decoder by name.

    Raises
    ------
    UsageError
        If no decoder has that name.
    MissingDependencyError
        If its package is not installed.
    """
    if name not in DECODERS:
        raise UsageError(f"unknown decoder {name!r}", hint=f"decoders: {', '.join(DECODERS)}")
    try:
        module: Decoder = importlib.import_module(DECODERS[name])
    except (ImportError, OSError, RuntimeError) as fault:  # a missing shared library raises the latter two
        if isinstance(fault, MissingDependencyError):
            raise
        raise MissingDependencyError(
            f"decoder {name!r} cannot be loaded: {str(fault).strip().splitlines()[0]}",
            hint="use --decoder pyav, which works everywhere" if name != "pyav" else "pip install av",
        ) from fault
    return module
