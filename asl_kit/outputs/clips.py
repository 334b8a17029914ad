"""Detections cut out of their videos by the ffmpeg program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from asl_kit.base.files import atomic_write
from asl_kit.detections.table import Detection
from asl_kit.errors import MissingDependencyError, VideoError
from asl_kit.outputs.file_start import FileStart
from asl_kit.outputs.names import safe_part

_MAX_NAME_BYTES = 80  # of the video's and of the label's part each
_ENCODE = (
    *("-map", "0:V:0", "-map", "0:a:0?", "-map_metadata", "-1", "-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2"),
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    *("-movflags", "+faststart", "-f", "mp4", "-abort_on", "empty_output"),
)
"""Encoded anew: a copy could begin at key frames only, up to many seconds too early. Plays everywhere.

``V``: a video stream that is no cover picture."""


def find_ffmpeg() -> str:
    """Return the path of the ffmpeg program.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    path = shutil.which("ffmpeg")
    if path is None:
        raise MissingDependencyError(
            "clips are cut by the ffmpeg program, and it is not installed",
            hint="apt-get install ffmpeg, brew install ffmpeg, conda install -c conda-forge ffmpeg, or https://ffmpeg.org",
        )
    return path


def clip_prefix(video_id: str) -> str:
    """Return how the names of a video's clips begin: its id on one level, without spaces.

    Examples
    --------
    >>> clip_prefix("monday/match 1")
    'monday_match_1'
    """
    return _name_part(video_id)


def clip_name(prefix: str, row: Detection) -> str:
    """Return the file name of a clip without its suffix; names of a video's clips are in order of time.

    Examples
    --------
    >>> clip_name("match_1", Detection("match 1", 754.2, 760.8, "goal: 'kick'/shot", 0.9))
    "match_1_00754.20-00760.80_goal_'kick'_shot"
    """
    return f"{prefix}_{row.start_s:08.2f}-{row.end_s:08.2f}_{_name_part(row.label)}"


def _name_part(text: str) -> str:
    return re.sub(r"[\s_]+", "_", safe_part(text.replace("/", "_"), _MAX_NAME_BYTES)).strip("._-") or "_"


def cut_clip(path: Path, video: Path, row: Detection, start: FileStart) -> None:
    """Cut a detection out of its video: its own frames, with the first sound track; whole or not at all.

    Parameters
    ----------
    path : Path
        The clip.
    video : Path
        The video file.
    row : Detection
        What to cut out.
    start : FileStart
        How it begins.

    Raises
    ------
    MissingDependencyError
        If ffmpeg is not installed.
    VideoError
        If it cannot cut the clip.
    """
    ffmpeg = find_ffmpeg()
    from_s = max(row.start_s, 0) + start.gap_s
    early_s = min(from_s, start.seek_early_s)
    with atomic_write(path) as temporary:
        # No path is taken for a URL or an option, and no file leads to the network.
        command = [
            *(ffmpeg, "-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"),
            *("-ss", f"{from_s - early_s:.6f}", "-i", f"file:{video}"),
            *("-ss", f"{early_s:.6f}", "-t", f"{row.end_s - row.start_s:.6f}", *_ENCODE, f"file:{temporary}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise VideoError(f"{video}, {row.start_s:.2f} s to {row.end_s:.2f} s: ffmpeg: {said[-1]}")
