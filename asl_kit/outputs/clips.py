"""Clips of detections, cut by the ffmpeg program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from asl_extract.decoders.image_files import is_image_sequence
from asl_kit.base.files import atomic_write
from asl_kit.detections.table import Detection
from asl_kit.errors import MissingDependencyError, VideoError
from asl_kit.outputs.file_start import FileStart
from asl_kit.outputs.names import safe_part

_MAX_NAME_BYTES = 80  # of the video's part, and of the label's part
_ENCODE = (
    *("-map", "0:V:0", "-map", "0:a:0?", "-map_metadata", "-1", "-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2"),
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    *("-movflags", "+faststart", "-f", "mp4", "-abort_on", "empty_output"),
)
"""Clips are encoded again: a copy could start only at a key frame, up to many seconds early. They play everywhere.

``V``: a video stream that is not a cover picture."""


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
            "clips are cut by the ffmpeg program, which is not installed",
            hint="apt-get install ffmpeg, brew install ffmpeg, conda install -c conda-forge ffmpeg, or https://ffmpeg.org",
        )
    return path


def clip_prefix(video_id: str) -> str:
    """Return the first part of the names of a video's clips: its id without folders and spaces.

    Examples
    --------
    >>> clip_prefix("monday/match 1")
    'monday_match_1'
    """
    return _name_part(video_id)


def clip_name(prefix: str, row: Detection) -> str:
    """Return the file name of a clip without its suffix; sorted by name, the clips of a video are in order of time.

    Examples
    --------
    >>> clip_name("match_1", Detection("match 1", 754.2, 760.8, "goal: 'kick'/shot", 0.9))
    "match_1_00754.20-00760.80_goal_'kick'_shot"
    """
    return f"{prefix}_{row.start_s:08.2f}-{row.end_s:08.2f}_{_name_part(row.label)}"


def _name_part(text: str) -> str:
    return re.sub(r"[\s_]+", "_", safe_part(text.replace("/", "_"), _MAX_NAME_BYTES)).strip("._-") or "_"


def cut_clip(path: Path, video: Path, row: Detection, start: FileStart) -> None:
    """Cut a detection out of a video file into the clip `path`: exactly its frames, and the first sound track.

    Raises
    ------
    MissingDependencyError
        If ffmpeg is not installed.
    VideoError
        If ffmpeg cannot cut the clip, or the video's frames are images.
    """
    if is_image_sequence(video):
        raise VideoError(f"{video}: clips are cut out of video files, and the frames of this video are images")
    ffmpeg = find_ffmpeg()
    from_s = max(row.start_s, 0) + start.gap_s
    early_s = min(from_s, start.seek_early_s)
    with atomic_write(path) as temporary:
        # A path is never read as a URL or an option, and a playlist cannot open the network.
        command = [
            *(ffmpeg, "-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"),
            *("-ss", f"{from_s - early_s:.6f}", "-i", f"file:{video}"),
            *("-ss", f"{early_s:.6f}", "-t", f"{row.end_s - row.start_s:.6f}", *_ENCODE, f"file:{temporary}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise VideoError(f"{video}, {row.start_s:.2f} s to {row.end_s:.2f} s: ffmpeg: {said[-1]}")
