"""Detections cut out of their videos by the ffmpeg program."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from asl_kit.errors import AslKitError, MissingDependencyError, VideoError
from asl_kit.files import replacing
from asl_kit.predictions import Detection
from asl_kit.progress import progress_bar

_MAX_NAME_BYTES = 80  # of the video's and of the label's part each
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\s]+')
_ENCODE = (
    *("-map", "0:v:0", "-map", "0:a:0?", "-map_metadata", "-1", "-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2"),
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    *("-movflags", "+faststart", "-f", "mp4", "-abort_on", "empty_output"),
)
"""Encoded anew: a copy could begin at key frames only, up to many seconds too early. Plays everywhere."""


class ClipsError(AslKitError):
    """Clips that could not be cut.

    Parameters
    ----------
    message : str
        Which, and why.
    written : list of Path
        Files that are there.
    """

    def __init__(self, message: str, written: list[Path]) -> None:
        super().__init__(message)
        self.written = written


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


def clip_name(row: Detection) -> str:
    """Return the file name of a clip, safe on every system; names are in order of time.

    Examples
    --------
    >>> clip_name(Detection("match 1", 754.2, 760.8, "goal: 'kick'/shot", 0.9))
    "match_1_00754.20-00760.80_goal_'kick'_shot.mp4"
    """
    return f"{_safe(row.video_id)}_{row.start_s:08.2f}-{row.end_s:08.2f}_{_safe(row.label)}.mp4"


def _safe(text: str) -> str:
    text = text.encode(errors="replace").decode()
    whole = _UNSAFE.sub("_", text).strip("._-")
    return whole.encode()[:_MAX_NAME_BYTES].decode(errors="ignore") or "_"


def cut_clips(folder: Path, shown: Sequence[tuple[Path, Detection]]) -> list[Path]:
    """Cut a clip of each detection, and return the files.

    A clip begins and ends at the detection's own frames, with the first sound track; it is whole or not there.

    Parameters
    ----------
    folder : Path
        Where to.
    shown : sequence of (Path, Detection)
        The video file of each.

    Raises
    ------
    MissingDependencyError
        If ffmpeg is not installed.
    ClipsError
        If clips could not be cut; the others are there.
    """
    ffmpeg = find_ffmpeg()
    written: list[Path] = []
    faults: list[str] = []
    with progress_bar("cutting clips", len(shown)) as bar:
        for video, row in shown:
            path = folder / clip_name(row)
            if path in written:  # of another id or label that reads the same
                path = path.with_stem(f"{path.stem}_{len(written)}")
            bar.note(path.name)
            try:
                with replacing(path) as temporary:
                    _cut(ffmpeg, video, row, temporary)
                written.append(path)
            except VideoError as fault:
                faults.append(fault.message)
            bar.advance()
    if faults:
        raise ClipsError("\n  ".join([f"{len(faults)} of {len(shown)} clips failed", *faults]), written)
    return written


def _cut(ffmpeg: str, video: Path, row: Detection, path: Path) -> None:
    # No path is taken for a URL or an option, and no file leads to the network.
    times = ("-ss", f"{max(row.start_s, 0):.6f}", "-t", f"{row.end_s - row.start_s:.6f}")
    command = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-protocol_whitelist",
        "file",
        *times,
        "-i",
        f"file:{video}",
        *_ENCODE,
        f"file:{path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise VideoError(f"{video}, {row.start_s:.2f} s to {row.end_s:.2f} s: ffmpeg: {said[-1]}")
