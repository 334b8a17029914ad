"""The headers of the annotated video files, whose durations win over those of annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_extract.decoders.probe import VideoHeader, read_header
from asl_extract.videos import find_videos
from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import Video
from asl_kit.annotations.validation import DURATION_TOLERANCE_S
from asl_kit.base.child_process import ReaderProcess
from asl_kit.base.console import progress_bar
from asl_kit.base.validation import list_errors
from asl_kit.errors import AnnotationError, MissingFileError, UsageError, VideoError, first_few

NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class VideoHeaders:
    """What the files of annotated videos state."""

    paths: dict[str, Path]
    """The file of each annotated video that has one."""
    headers: dict[str, VideoHeader]
    """Headers of the files that can be read."""
    unreadable: dict[str, str]
    """Reasons why the others cannot be read."""
    unannotated: list[str]
    """Ids of video files without annotations, sorted."""


def read_headers(annotations: AnnotationSet, videos: Path, *, source: str) -> VideoHeaders:
    """Read the headers of the annotated videos in a folder.

    Parameters
    ----------
    annotations : AnnotationSet
        Annotations.
    videos : Path
        Folder of the videos.
    source : str
        Where the annotations come from, for messages.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    UsageError
        If it is not a folder, or no annotated video has a readable file in it.
    """
    if not videos.exists():
        raise MissingFileError(f"{videos}: no such folder")
    if not videos.is_dir():
        raise UsageError(f"{videos}: expected the folder of the videos, found a file")
    files = {file.video_id: file.path for file in find_videos([videos])}
    paths = {video_id: files[video_id] for video_id in annotations.videos if video_id in files}
    if not paths:
        raise UsageError(
            f"none of the {len(annotations.videos)} videos of {source} is in {videos}: the annotations name"
            f" {_some(annotations.videos)}; the files are {_some(files)}",
            hint="the video ids in the table must be the file names, with or without suffix",
        )
    headers, unreadable = {}, {}
    with progress_bar("reading headers", len(paths)) as bar, ReaderProcess() as reader:
        for video_id, path in paths.items():
            try:
                headers[video_id] = reader.run(read_header, path)
            except VideoError as fault:
                unreadable[video_id] = fault.message
            bar.advance()
    if not headers:
        reasons = "\n  ".join(list(unreadable.values())[:5])
        raise UsageError(f"none of the {len(paths)} annotated videos in {videos} can be read:\n  {reasons}")
    return VideoHeaders(paths, headers, unreadable, sorted(files.keys() - paths.keys()))


def with_headers(annotations: AnnotationSet, found: VideoHeaders) -> tuple[AnnotationSet, dict[str, str]]:
    """Return the annotations with the durations of the files, and their frame rates where none are stated.

    Without a stated duration, `AnnotationSet` has the end of the last segment.

    Returns
    -------
    AnnotationSet
        Its notes say what was taken from the files. A segment may end after its video: see `segments_beyond_end`.
    dict of str
        Both durations of each video whose stated one was replaced, as text.
    """
    videos, replaced = dict(annotations.videos), {}
    for video_id, header in found.headers.items():
        video = videos[video_id]
        is_stated = video.duration != max((end_s for _, _, end_s in _times(video)), default=0.0)
        if is_stated and abs(video.duration - header.duration_s) > DURATION_TOLERANCE_S:
            file = found.paths[video_id].name
            replaced[video_id] = f"{video.duration:g} s stated, {header.duration_s:g} s in {file}"
        fps = header.fps if video.fps is None else video.fps
        videos[video_id] = video.model_copy(update={"duration": header.duration_s, "fps": fps})
    notes = [*annotations.source.notes, f"the durations of {len(found.headers)} videos are those of their files"]
    if replaced:
        some = "; ".join(f"{video_id}: {text}" for video_id, text in list(replaced.items())[:NAMES_SHOWN])
        more = "; ..." if len(replaced) > NAMES_SHOWN else ""
        notes.append(f"{len(replaced)} stated durations were replaced by those of the files: {some}{more}")
    source = annotations.source.model_copy(update={"notes": notes})
    return annotations.model_copy(update={"videos": videos, "source": source}), replaced


def segments_beyond_end(
    annotations: AnnotationSet,
    found: VideoHeaders,
    *,
    source: str,
    places: Mapping[tuple[str, float, float], tuple[str, str]],
) -> dict[str, list[str]]:
    """Return a line for each segment that ends after its video file, by video.

    Parameters
    ----------
    annotations : AnnotationSet
        Annotations.
    found : VideoHeaders
        Headers of their files.
    source : str
        Where the annotations come from.
    places : mapping
        As `ConversionReport.places`; segments that it does not list are named by their number.
    """
    lines: dict[str, list[str]] = {}
    for video_id, header in found.headers.items():
        expected = f"must be within the {header.duration_s:g} s of {found.paths[video_id]}"
        for key, start_s, end_s in _times(annotations.videos[video_id]):
            if end_s > header.duration_s + DURATION_TOLERANCE_S:
                where, prefix = places.get((video_id, start_s, end_s), (source, f"{key}."))
                line = f"{where}: video {video_id!r}: {prefix}end: {expected}, found {end_s!r}"
                lines.setdefault(video_id, []).append(line)
    return lines


def refuse_beyond_end(lines: Mapping[str, Sequence[str]], *, source: str) -> None:
    """Raise an AnnotationError that lists the segments that end after their video, if there are any."""
    if lines:
        raise AnnotationError(
            list_errors([line for own in lines.values() for line in own]),
            hint=f"Nothing was written. Correct the times in {source}, or replace a file that is cut short. Times are"
            " seconds (75.5) or clock times (1:15.5).",
        )


def use_video_files(
    annotations: AnnotationSet, report: ConversionReport, videos: Path, *, source: str
) -> AnnotationSet:
    """Return converted annotations with the durations of their video files; the report notes what was read.

    Raises
    ------
    MissingFileError, UsageError
        As `read_headers`.
    AnnotationError
        If a segment ends after its video. The message lists all such segments.
    """
    found = read_headers(annotations, videos, source=source)
    refuse_beyond_end(segments_beyond_end(annotations, found, source=source, places=report.places), source=source)
    known_notes = len(annotations.source.notes)
    annotations, _ = with_headers(annotations, found)
    report.notes += annotations.source.notes[known_notes:]
    missing = [video_id for video_id in annotations.videos if video_id not in found.paths]
    if missing:
        report.note(f"{len(missing)} videos have no file in {videos}: {_some(missing)}")
    for reason in found.unreadable.values():
        report.note(reason)
    return annotations


def _times(video: Video) -> Iterable[tuple[str, float, float]]:
    """Yield the key, the start and the end of each segment, and of each ignored one."""
    for number, segment in enumerate(video.segments or ()):
        yield f"segments.{number}", segment.start, segment.end
    for number, ignored in enumerate(video.ignored):
        yield f"ignored.{number}", ignored.start, ignored.end


def _some(names: Iterable[str]) -> str:
    return first_few([repr(name) for name in sorted(names)], NAMES_SHOWN)
