"""How a video file starts: what players and editing programs need to know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from asl_extract.decoders.containers import CLOCK_MAY_JUMP, open_container, video_stream
from asl_kit.errors import VideoError

_KEY_FRAMES_APART_S = 10.0  # an upper bound; usually 0.5 to 2 s
TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")


class FileStart(NamedTuple):
    """How a video file starts.

    Parameters
    ----------
    gap_s : float
        Seconds on a player's clock before the first frame, while only sound plays.
    timecode : str or None
        Timecode of the first frame, as recorded in the file.
    seek_early_s : float
        Seek this much earlier to reach a frame. MPEG-TS and similar formats have no index: a seek ends at any frame,
        and decoding starts at the next key frame.
    """

    gap_s: float = 0.0
    timecode: str | None = None
    seek_early_s: float = 0.0


def read_start(video: Path) -> FileStart:
    """Return how a video file starts; the defaults if it cannot be read."""
    import av

    try:
        with open_container(video) as container:
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
