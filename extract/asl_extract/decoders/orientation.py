"""How a picture is mirrored by its display matrix. Turning it is left to the decoders, which all do that."""

from __future__ import annotations

import av
import numpy as np


def mirrored_axis(frame: av.VideoFrame) -> int | None:
    """Return the axis along which a frame must be flipped after it was turned: 0, rows; 1, columns; None: not.

    Decoders take the angle from a display matrix, which is that of a mirrored picture too. The ffmpeg program turns
    and flips in the same way (``configure_input_video_filter`` in its ``ffmpeg_filter.c``).
    """
    try:
        data = next((bytes(item) for item in frame.side_data if item.type.name == "DISPLAYMATRIX"), b"")
    except ValueError:  # PyAV does not know some of the frame's side data, such as Exif of a still, and lists none
        return None
    if len(data) != 36:
        return None
    matrix = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2].astype(float)
    if np.linalg.det(matrix) >= 0:
        return None
    return int(abs(matrix[0, 1]) > abs(matrix[0, 0]))
