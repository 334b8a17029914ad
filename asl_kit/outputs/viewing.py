"""All that is written for people to look at, chosen once and checked before hours of work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from asl_kit.base.console import ProgressBar
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import MIN_SCORE, Detection
from asl_kit.errors import AslKitError, UsageError
from asl_kit.outputs.clips import clip_name, clip_prefix, cut_clip, find_ffmpeg
from asl_kit.outputs.edit_list import write_edl
from asl_kit.outputs.file_start import read_start
from asl_kit.outputs.names import safe_path, tell_apart
from asl_kit.outputs.selection import select_shown
from asl_kit.outputs.subtitles import write_subtitles


@dataclass(frozen=True)
class ViewingFiles:
    """Which files to write for people to look at.

    Parameters
    ----------
    video_ids : collection of str
        Of all videos, so that no two of them have one file: see `asl_kit.outputs.names.tell_apart`.
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
        If a folder is a file, or `max_clips` is given without `clips`.
    MissingDependencyError
        If clips are asked for and ffmpeg is not installed.
    """

    video_ids: Collection[str]
    subtitles: Path | None = None
    subtitle_format: Literal["srt", "vtt"] = "srt"
    edl: Path | None = None
    clips: Path | None = None
    min_score: float = MIN_SCORE
    max_clips: int | None = None

    def __post_init__(self) -> None:
        if self.max_clips is not None and self.clips is None:
            raise UsageError("--max-clips without --clips DIR")
        for folder in (self.subtitles, self.edl, self.clips):
            if folder is not None and folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder}: is a file, expected a folder", hint="name a folder; it is made if need be")
        if self.clips is not None:
            find_ffmpeg()

    @cached_property
    def _names(self) -> dict[str, str]:
        return tell_apart(self.video_ids, safe_path)

    @cached_property
    def _clip_prefixes(self) -> dict[str, str]:
        return tell_apart(self.video_ids, clip_prefix)

    def write(self, video: VideoDetections) -> Iterator[Path | AslKitError]:
        """Write the files of a video; yield each as soon as it is there, or why it is not.

        Clips are cut here unless only so many are wanted: `write_surest_clips` chooses those of all videos.
        """
        shown = select_shown(video, min_score=self.min_score)
        name = self._names[video.video_id]
        if self.subtitles is not None:
            path = self.subtitles / f"{name}.actions.{self.subtitle_format}"
            gap_s = read_start(video.path).gap_s
            yield _try(path, partial(write_subtitles, shown=shown, duration_s=video.duration_s, gap_s=gap_s))
        if self.edl is not None:
            timecode = read_start(video.path).timecode
            edl = partial(write_edl, video=video.path, shown=shown, fps=video.fps, start_timecode=timecode)
            yield _try(self.edl / f"{name}.edl", edl)
        if self.clips is not None and self.max_clips is None:
            for clip in self._list_clips(self.clips, video):
                yield _try(clip.path, clip.cut)

    def write_surest_clips(self, videos: Sequence[VideoDetections]) -> Iterator[Path | AslKitError]:
        """Cut the `max_clips` surest clips of all videos, if so many are wanted; yield as `write`."""
        if self.clips is not None and self.max_clips is not None:
            clips = [clip for video in videos for clip in self._list_clips(self.clips, video)]
            clips.sort(key=lambda clip: -clip.row.score)
            for clip in clips[: self.max_clips]:
                yield _try(clip.path, clip.cut)

    def _list_clips(self, folder: Path, video: VideoDetections) -> list[_Clip]:
        shown = select_shown(video, min_score=self.min_score)
        prefix = self._clip_prefixes[video.video_id]
        names = tell_apart(shown, lambda row: clip_name(prefix, row))
        return [_Clip(folder / f"{names[row]}.mp4", video.path, row) for row in shown]


@dataclass
class Viewed:
    """What came of writing, over many videos.

    Parameters
    ----------
    written : list of Path
        Files that are there.
    faults : list of str
        Why others are not.
    """

    written: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, results: Iterable[Path | AslKitError], bar: ProgressBar, *, count: bool = False) -> None:
        """Write files and show each; `count`: they are the units of the bar."""
        for result in results:
            if isinstance(result, Path):
                self.written.append(result)
                bar.note(f"wrote {result.name}")
            else:
                self.faults.append(result.message)
                bar.message(f"failed: {result.message}" + (f" ({result.hint})" if result.hint else ""))
            if count:
                bar.advance()

    @property
    def problems(self) -> list[str]:
        """What to tell at the end, if anything."""
        return ["\n  ".join([f"{len(self.faults)} files could not be written", *self.faults])] if self.faults else []


@dataclass(frozen=True)
class _Clip:
    path: Path
    video: Path
    row: Detection

    def cut(self, path: Path) -> None:
        cut_clip(path, self.video, self.row, read_start(self.video))


def _try(path: Path, write: Callable[[Path], None]) -> Path | AslKitError:
    try:
        write(path)
    except AslKitError as fault:
        return fault
    return path
