"""All that is written for people to look at, chosen once and checked before hours of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asl_kit.errors import UsageError
from asl_kit.outputs.clips import ClipsError, cut_clips, find_ffmpeg
from asl_kit.outputs.edit_list import write_edl
from asl_kit.outputs.selection import MIN_SCORE, select_shown
from asl_kit.outputs.subtitles import write_subtitles
from asl_kit.video_detections import VideoDetections


@dataclass(frozen=True)
class ViewingFiles:
    """Which files to write for people to look at.

    Parameters
    ----------
    subtitles : Path, optional
        Folder of subtitles, a file a video: ``match.actions.srt``. Players find those in the video's own folder. The
        name keeps clear of ``match.srt``, which may be what is said in the video.
    subtitle_format : {"srt", "vtt"}
        Their format.
    edl : Path, optional
        Folder of edit decision lists, a file a video.
    clips : Path, optional
        Folder of clips, a file a detection.
    min_score : float
        The least score of what is shown; see `asl_kit.outputs.selection.select_shown`.
    max_clips : int, optional
        Cut the surest of all videos together, no more than so many.

    Raises
    ------
    UsageError
        If a folder is a file.
    MissingDependencyError
        If clips are asked for and ffmpeg is not installed.
    """

    subtitles: Path | None = None
    subtitle_format: Literal["srt", "vtt"] = "srt"
    edl: Path | None = None
    clips: Path | None = None
    min_score: float = MIN_SCORE
    max_clips: int | None = None

    def __post_init__(self) -> None:
        for folder in (self.subtitles, self.edl, self.clips):
            if folder is not None and folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder}: is a file, expected a folder", hint="name a folder; it is made if need be")
        if self.clips is not None:
            find_ffmpeg()

    def write(self, videos: Sequence[VideoDetections]) -> list[Path]:
        """Write the files of these videos, and return them.

        Raises
        ------
        ClipsError
            If clips could not be cut; all else is written.
        """
        written: list[Path] = []
        to_cut = []
        for video in videos:
            shown = select_shown(video, min_score=self.min_score)
            if self.subtitles is not None:
                path = place(self.subtitles, video.video_id, f".actions.{self.subtitle_format}")
                write_subtitles(path, shown, duration_s=video.duration_s)
                written.append(path)
            if self.edl is not None:
                path = place(self.edl, video.video_id, ".edl")
                write_edl(path, video.path, shown, fps=video.fps)
                written.append(path)
            to_cut += [(video.path, row) for row in shown]
        if self.clips is not None:
            to_cut.sort(key=lambda clip: -clip[1].score)
            try:
                written += cut_clips(self.clips, to_cut[: self.max_clips])
            except ClipsError as fault:
                raise ClipsError(fault.message, [*written, *fault.written]) from None
        return written


def place(folder: Path, video_id: str, ending: str) -> Path:
    """Return the file of a video in a folder, and never outside of it.

    Examples
    --------
    >>> place(Path("out"), "monday/clip", ".edl").as_posix(), place(Path("out"), "../clip", ".edl").as_posix()
    ('out/monday/clip.edl', 'out/clip.edl')
    """
    *folders, name = [part for part in video_id.split("/") if part not in ("", ".", "..")] or ["_"]
    return folder.joinpath(*folders, name + ending)
