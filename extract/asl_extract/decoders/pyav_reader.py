"""Reads a video with PyAV: forward, each frame decoded once.

PyAV includes FFmpeg in its wheels, so this decoder works on every platform. Its
frames equal torchcodec's: converted to RGB with FFmpeg's default, bicubic, then
rotated upright. decord's frames are equal where FFmpeg has a special conversion for
the format, without interpolation: 8 bits per channel and an even height. Otherwise
decord interpolates subsampled chroma bilinearly, and its FFmpeg 4 places it half a row
lower than FFmpeg 8.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import av
import av.filter

from asl_extract.decoders import Frames
from asl_extract.decoders.containers import decoded_frames, open_container
from asl_extract.decoders.orientation import rotation
from asl_extract.decoders.probe import probe, truncated
from asl_extract.decoders.sequential import SequentialReader
from asl_kit.errors import VideoError

_ROTATIONS = {
    0: (),
    90: (("transpose", "2"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "1"),),
}
"""Filters that undo the display rotation, by counter-clockwise degrees."""


def version() -> str:
    """Return ``pyav``, its version and the version of its FFmpeg library."""
    return f"pyav {av.__version__}"


class PyAVReader(SequentialReader):
    """One video, read from start to end by PyAV.

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
        facts = probe(path)
        self._container = open_container(path)
        stream = self._container.streams[facts.stream_index]
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        self._stream.thread_count = threads
        self._stream.thread_type = "FRAME"  # with slice threads, FFmpeg loses the flags of damaged frames
        self._frames = self._decode()
        super().__init__(path, facts)

    def close(self) -> None:
        """Close the file."""
        self._frames.close()
        self._container.close()

    def _next(self, index: int) -> Frames:
        try:
            return next(self._frames)
        except (av.error.FFmpegError, StopIteration) as fault:
            raise truncated(self._path, found=index, expected=self.frame_count) from fault

    def _check(self) -> Generator[None, None, None]:
        """Do nothing: `decoded_frames` checks each frame."""
        yield from ()

    def _decode(self) -> Generator[Frames, None, None]:
        graph: av.filter.Graph | None = None
        size = (0, 0)
        for frame in decoded_frames(self._container, self._stream, self._path):
            if graph is None:
                graph = _rgb_graph(self._stream, frame)
                size = (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                raise VideoError(
                    f"{self._path}: the frame size changes from {size[0]}x{size[1]} to {frame.width}x{frame.height}"
                )
            graph.push(frame)
            yield graph.pull().to_ndarray()


def _rgb_graph(stream: av.VideoStream, frame: av.VideoFrame) -> av.filter.Graph:
    """Return the filters that convert decoded frames to upright RGB."""
    graph = av.filter.Graph()
    graph.threads = 1
    nodes = [graph.add_buffer(template=stream, width=frame.width, height=frame.height, format=frame.format)]
    nodes += [graph.add("scale", "flags=bicubic"), graph.add("format", "rgb24")]
    nodes += [graph.add(name, arguments) for name, arguments in _ROTATIONS[rotation(frame)]]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    return graph


def open_reader(path: Path, *, threads: int = 1, device: str = "cpu") -> PyAVReader:
    """Open a video with PyAV."""
    return PyAVReader(path, threads=threads)
