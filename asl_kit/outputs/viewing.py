"""Files for people to look at: which are wanted, and how they are written for many videos."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from asl_kit.base.console import ProgressBar, progress_bar
from asl_kit.base.files import write_text
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import MIN_SCORE, Detection
from asl_kit.errors import AslKitError, UsageError
from asl_kit.outputs.clips import clip_name, clip_prefix, cut_clip, find_ffmpeg
from asl_kit.outputs.edit_list import to_edl
from asl_kit.outputs.file_start import read_start
from asl_kit.outputs.names import safe_path, unique_names
from asl_kit.outputs.selection import select_shown
from asl_kit.outputs.subtitles import write_subtitles
from asl_kit.outputs.summary import failure_line


@dataclass(frozen=True)
class ViewingFiles:
    """Which files are written for people to look at, checked before hours of work.

    Parameters
    ----------
    subtitles : path, optional
        Folder of subtitles, a file per video: ``match.actions.srt``. Players find them in the video's own folder;
        ``match.srt``, which may hold the dialogue, is left alone.
    subtitle_format : {"srt", "vtt"}
        Their format.
    edl : path, optional
        Folder of edit decision lists, a file per video.
    clips : path, optional
        Folder of clips, a file per detection.
    min_score : float
        Lowest score that is shown; see `asl_kit.outputs.selection.select_shown`.
    max_clips : int, optional
        Cut only this many clips, the highest-scoring of all videos together.

    Raises
    ------
    UsageError
        If a folder is a file, or `max_clips` is given without `clips`.
    MissingDependencyError
        If clips are wanted and ffmpeg is not installed.
    """

    subtitles: str | Path | None = None
    subtitle_format: Literal["srt", "vtt"] = "srt"
    edl: str | Path | None = None
    clips: str | Path | None = None
    min_score: float = MIN_SCORE
    max_clips: int | None = None

    def __post_init__(self) -> None:
        if self.max_clips is not None and self.clips is None:
            raise UsageError("--max-clips without --clips DIR")
        for folder in (self.subtitles, self.edl, self.clips):
            if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
                raise UsageError(f"{folder}: is a file, expected a folder", hint="name a folder; it need not exist")
        if self.clips is not None:
            find_ffmpeg()


class ViewingWriter:
    """Writes the viewing files of many videos; a file that cannot be written does not stop the others.

    Parameters
    ----------
    wanted : ViewingFiles
        Which files to write.
    video_ids : collection of str
        Of all videos, so that no two of them share a file: see `asl_kit.outputs.names.unique_names`.

    Attributes
    ----------
    written : list of Path
        Files written so far.
    failures : list of str
        Why other files could not be written.
    """

    def __init__(self, wanted: ViewingFiles, video_ids: Collection[str]) -> None:
        self._wanted = wanted
        self._names = unique_names(video_ids, safe_path)
        self._clip_prefixes = unique_names(video_ids, clip_prefix)
        self.written: list[Path] = []
        self.failures: list[str] = []

    def write(self, video: VideoDetections, bar: ProgressBar) -> None:
        """Write the files of one video; its clips too, unless `max_clips` limits those of all videos."""
        wanted = self._wanted
        if (wanted.subtitles, wanted.edl, wanted.clips) == (None, None, None):
            return
        shown = select_shown(video, min_score=wanted.min_score)
        start = read_start(_file_of(video))
        name = self._names[video.video_id]
        if wanted.subtitles is not None:
            path = Path(wanted.subtitles) / f"{name}.actions.{wanted.subtitle_format}"
            self._try(path, partial(write_subtitles, shown=shown, duration_s=video.duration_s, gap_s=start.gap_s), bar)
        if wanted.edl is not None:
            text = to_edl(_file_of(video).name, shown, fps=video.fps, start_timecode=start.timecode)
            self._try(Path(wanted.edl) / f"{name}.edl", partial(write_text, text=text), bar)
        if wanted.clips is not None and wanted.max_clips is None:
            for path, row in self._list_clips(Path(wanted.clips), video):
                self._cut(path, video, row, bar)

    def cut_best_clips(self, videos: Sequence[VideoDetections]) -> None:
        """Cut the `max_clips` highest-scoring clips of all videos, if their number is limited."""
        wanted = self._wanted
        if wanted.clips is None or wanted.max_clips is None:
            return
        clips = [(*clip, video) for video in videos for clip in self._list_clips(Path(wanted.clips), video)]
        clips.sort(key=lambda clip: -clip[1].score)
        with progress_bar("cutting clips", None) as bar:
            for path, row, video in clips[: wanted.max_clips]:
                self._cut(path, video, row, bar)
                bar.advance()

    def _list_clips(self, folder: Path, video: VideoDetections) -> list[tuple[Path, Detection]]:
        prefix = self._clip_prefixes[video.video_id]
        shown = select_shown(video, min_score=self._wanted.min_score)
        names = unique_names(shown, lambda row: clip_name(prefix, row))
        return [(folder / f"{names[row]}.mp4", row) for row in shown]

    def _cut(self, path: Path, video: VideoDetections, row: Detection, bar: ProgressBar) -> None:
        file = _file_of(video)
        self._try(path, lambda path: cut_clip(path, file, row, read_start(file)), bar)

    def _try(self, path: Path, write: Callable[[Path], None], bar: ProgressBar) -> None:
        try:
            write(path)
        except AslKitError as fault:
            self.failures.append(fault.message)
            bar.message(failure_line(fault))
        else:
            self.written.append(path)
            bar.note(f"wrote {path.name}")


def _file_of(video: VideoDetections) -> Path:
    assert isinstance(video.path, Path)  # for videos at addresses these files are refused before the work
    return video.path
