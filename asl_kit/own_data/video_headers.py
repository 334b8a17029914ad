"""The headers of the annotated video files, whose durations win over those of annotations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_extract.decoders.headers import read_headers
from asl_extract.decoders.image_files import is_image_sequence
from asl_extract.decoders.probe import VideoHeader
from asl_extract.videos import find_videos, with_image_fps
from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import Segment, Video
from asl_kit.annotations.validation import DURATION_TOLERANCE_S
from asl_kit.base.validation import list_errors
from asl_kit.errors import AnnotationError, MissingFileError, UsageError, first_few

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


def read_annotated(
    annotations: AnnotationSet, videos: Path, *, source: str, image_fps: float | None = None
) -> VideoHeaders:
    """Read the headers of the annotated videos in a folder.

    Parameters
    ----------
    annotations : AnnotationSet
        Annotations.
    videos : Path
        Folder of the videos.
    source : str
        Where the annotations come from, for messages.
    image_fps : float, optional
        Frame rate of videos whose frames are images; None: that of the annotations.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    UsageError
        If it is not a folder, no annotated video has a readable file in it, or the frame rate of images is not known.
    """
    if not videos.exists():
        raise MissingFileError(f"{videos}: no such folder")
    if not videos.is_dir():
        raise UsageError(f"{videos}: expected the folder of the videos, found a file")
    files = {file.video_id: file for file in find_videos([videos])}
    paths = {video_id: files[video_id].path for video_id in annotations.videos if video_id in files}
    if not paths:
        raise UsageError(
            f"none of the {len(annotations.videos)} videos of {source} is in {videos}: the annotations name"
            f" {_some(annotations.videos)}; the files are {_some(files)}",
            hint="the video ids in the table must be the file names, with or without suffix",
        )
    frame_rates = {video_id: video.fps for video_id, video in annotations.videos.items()}
    annotated = with_image_fps([files[video_id] for video_id in paths], image_fps, frame_rates)
    headers, unreadable = read_headers({file.video_id: file.source for file in annotated})
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
        # The frame rate of images is --image-fps, or the stated one.
        is_stated = video.fps is not None and not is_image_sequence(found.paths[video_id])
        fps = video.fps if is_stated else header.fps
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
            " seconds (75.5) or clock times (1:15.5), not frame numbers, not milliseconds.",
        )


def use_video_files(
    annotations: AnnotationSet,
    report: ConversionReport,
    videos: Path,
    *,
    source: str,
    image_fps: float | None = None,
) -> AnnotationSet:
    """Return converted annotations with the durations of their video files; the report notes what was read.

    Raises
    ------
    MissingFileError, UsageError
        As `read_annotated`.
    AnnotationError
        If a segment ends after its video. The message lists all such segments.
    """
    found = read_annotated(annotations, videos, source=source, image_fps=image_fps)
    missing = [video_id for video_id in annotations.videos if video_id not in found.paths]
    return _use(found, annotations, report, missing=missing, place=str(videos), source=source)


def use_stated_files(annotations: AnnotationSet, report: ConversionReport, sources: Sequence[Path]) -> AnnotationSet:
    """Return converted annotations as `use_video_files` does, with the files that the annotations name.

    The annotations stay as they are if none of the files is there.

    Parameters
    ----------
    annotations : AnnotationSet
        Annotations.
    report : ConversionReport
        Notes what was read.
    sources : sequence of Path
        The converted tables. Paths are relative to their folders, or to the current one.

    Raises
    ------
    AnnotationError
        If a segment ends after its video. The message lists all such segments.
    """
    folders = dict.fromkeys([Path(), *(source.parent for source in sources)])
    stated = {video_id: video.path for video_id, video in annotations.videos.items() if video.path}
    candidates = ((video_id, folder / path) for folder in folders for video_id, path in stated.items())
    paths = {video_id: path for video_id, path in candidates if path.is_file()}
    if not paths:
        return annotations
    found = VideoHeaders(paths, *read_headers(paths), unannotated=[])
    missing = [video_id for video_id in stated if video_id not in paths]
    source = ", ".join(map(str, sources))
    return _use(found, annotations, report, missing=missing, place="the place that 'path' names", source=source)


def _use(
    found: VideoHeaders,
    annotations: AnnotationSet,
    report: ConversionReport,
    *,
    missing: Collection[str],
    place: str,
    source: str,
) -> AnnotationSet:
    annotations = _with_windows_cut(annotations, found)
    refuse_beyond_end(segments_beyond_end(annotations, found, source=source, places=report.places), source=source)
    if found.headers:
        known_notes = len(annotations.source.notes)
        annotations, _ = with_headers(annotations, found)
        report.notes += annotations.source.notes[known_notes:]
    if missing:
        report.note(f"{len(missing)} videos have no file in {place}: {_some(missing)}")
    for reason in found.unreadable.values():
        report.note(reason)
    noted = [f"{found.paths[name]}: {header.note}" for name, header in found.headers.items() if header.note]
    if noted:
        report.note(first_few(noted, NAMES_SHOWN))
    return annotations


def _with_windows_cut(annotations: AnnotationSet, found: VideoHeaders) -> AnnotationSet:
    """Return the annotations with the windows around points in time (`Collector.point`) cut where their videos end."""
    videos = dict(annotations.videos)
    for video_id, header in found.headers.items():
        video, duration_s = videos[video_id], header.duration_s
        segments = [
            segment.model_copy(update={"end": duration_s})
            if segment.end > duration_s > segment.start and _is_window(segment, duration_s)
            else segment
            for segment in video.segments or ()
        ]
        if segments != (video.segments or []):
            ends_with_window = video.duration == max(end_s for _, _, end_s in _times(video))
            stated_s = duration_s if ends_with_window else video.duration
            videos[video_id] = video.model_copy(update={"segments": segments, "duration": stated_s})
    return annotations.model_copy(update={"videos": videos})


def _is_window(segment: Segment, duration_s: float) -> bool:
    """Return whether a segment is the window around a point in time that is within the video."""
    point_s = segment.attributes.get("point")
    return isinstance(point_s, float) and point_s <= duration_s + DURATION_TOLERANCE_S


def _times(video: Video) -> Iterable[tuple[str, float, float]]:
    """Yield the key, the start and the end of each segment, and of each ignored one."""
    for number, segment in enumerate(video.segments or ()):
        yield f"segments.{number}", segment.start, segment.end
    for number, ignored in enumerate(video.ignored):
        yield f"ignored.{number}", ignored.start, ignored.end


def _some(names: Iterable[str]) -> str:
    return first_few([repr(name) for name in sorted(names)], NAMES_SHOWN)
