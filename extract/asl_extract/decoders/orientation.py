"""How a picture is turned and mirrored by its display matrix. Turning it is left to the decoders."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np

_LEFT_OUT = ("15", "31")
"""FFmpeg's numbers of side data that are deleted first: PyAV crashes over ICC profiles with a name, and lists nothing
beside Exif."""


def rotation(frame: av.VideoFrame) -> int:
    """Return by how many degrees players turn a frame, counter-clockwise: 0, 90, 180 or 270."""
    nearest: int = round(frame.rotation / 90) * 90 % 360
    return nearest


def mirrored_axis(frame: av.VideoFrame) -> int | None:
    """Return the axis along which a frame must be flipped after it was turned: 0, rows; 1, columns; None: not.

    Decoders take the angle from a display matrix, which is that of a mirrored picture too. The ffmpeg program turns
    and flips in the same way (``configure_input_video_filter`` in its ``ffmpeg_filter.c``).
    """
    try:
        data = next((bytes(item) for item in _safe(frame).side_data if item.type.name == "DISPLAYMATRIX"), b"")
    except ValueError:  # PyAV does not know some of the frame's side data, and lists none
        return None
    if len(data) != 36:
        return None
    matrix = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2].astype(float)
    if np.linalg.det(matrix) >= 0:
        return None
    return int(abs(matrix[0, 1]) > abs(matrix[0, 0]))


def _safe(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a frame whose side data PyAV can list."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1))
    deletions = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in _LEFT_OUT]
    graph.link_nodes(source, *deletions, graph.add("buffersink")).configure()
    graph.push(frame)
    safe = graph.pull()
    assert isinstance(safe, av.VideoFrame)
    return safe
