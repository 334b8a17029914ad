"""Detections of a file, with the facts of the videos that they were found in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from asl_evaluate.report.video_files import by_name
from asl_extract.decoders.probe import probe
from asl_extract.videos import find_videos
from asl_kit.base.child_process import ReaderProcess
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections
from asl_kit.errors import UsageError


def find_files(video_ids: Sequence[str], sources: Sequence[str | Path]) -> dict[str, Path]:
    """Return the files of videos, by id; videos without a file are left out.

    Parameters
    ----------
    video_ids : sequence of str
        A file is named like the id, which may hold folders and the suffix.
    sources : sequence of str or Path
        Files, folders and patterns: see `asl_extract.videos.find_videos`.

    Raises
    ------
    MissingFileError
        If a file or folder does not exist.
    UsageError
        If there is no video, or none of these ids.
    """
    found = find_videos(sources, same_names=True)
    named = by_name(video.path for video in found) | {video.video_id: video.path for video in found}
    files = {video_id: named[video_id] for video_id in video_ids if video_id in named}
    if not files:
        raise UsageError(
            f"none of the {len(video_ids)} videos has a file among the {len(found)} that were found",
            hint=f"a video's file is named like its id: {next(iter(video_ids), 'x')}.mp4",
        )
    return files


def read_video(video_id: str, path: Path, detections: Detections, reader: ReaderProcess) -> VideoDetections:
    """Return the detections of one video, with what its file says, read as for `asl-kit predict`.

    Raises
    ------
    MissingFileError, VideoError
        If the file is not there, or no whole video.
    """
    facts = reader.run(probe, path)
    return VideoDetections(
        video_id=video_id,
        path=path,
        duration_s=facts.frame_count / facts.fps,
        fps=facts.fps,
        frames=facts.frame_count,
        tables={"": detections.for_video(video_id)},
    )


def keep_classes(detections: Detections, names: Collection[str]) -> Detections:
    """Return the detections of some classes, of all videos.

    Raises
    ------
    UsageError
        If there is no detection of a class.
    """
    for name in names:
        if name not in detections.class_names:
            raise UsageError(f"no detection of class {name!r}", hint=f"classes: {', '.join(detections.class_names)}")
    return detections.relabelled(detections.class_names, dict.fromkeys(names))
