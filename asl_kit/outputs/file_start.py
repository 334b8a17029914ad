"""What a video file says of its beginning, for players and editing programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from asl_extract.decoders.probe import CLOCK_MAY_JUMP, location, video_stream
from asl_kit.errors import VideoError

_KEY_FRAMES_APART_S = 10.0  # at most, wherever such files are made; mostly 0.5 to 2 s
TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")


class FileStart(NamedTuple):
    """How a file begins.

    Parameters
    ----------
    gap_s : float
        Seconds on a player's clock before the first frame, while there is sound alone.
    timecode : str or None
        What the file says its first frame's timecode is.
    seek_early_s : float
        By how much earlier to look for a frame. In MPEG-TS and its like there is no index, and a seek ends at any
        frame; what can be decoded begins at the next key frame.
    """

    gap_s: float = 0.0
    timecode: str | None = None
    seek_early_s: float = 0.0


def read_start(video: Path) -> FileStart:
    """Return how a video file begins; of one that cannot be read, that there is nothing special."""
    import av

    try:
        with av.open(location(video), metadata_errors="ignore") as container:
            stream = video_stream(container, video)
            gap_s = 0.0
            if stream.start_time is not None and stream.time_base and container.start_time is not None:
                gap_s = float(stream.start_time * stream.time_base) - container.start_time / av.time_base
            seek_early_s = _KEY_FRAMES_APART_S if container.format.flags & CLOCK_MAY_JUMP else 0.0
            parts = [container.metadata, *(stream.metadata for stream in container.streams)]
    except (av.FFmpegError, OSError, VideoError):
        return FileStart()
    tags = [value for part in parts for key, value in part.items() if key.lower() == "timecode"]
    timecode = next((value for value in tags if TIMECODE.fullmatch(value)), None)
    return FileStart(max(0.0, gap_s), timecode, seek_early_s)
