"""Viewing files of detections that were written earlier, by this program or another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from asl_evaluate.prediction_check import VideoLength, check_lengths, report_findings
from asl_evaluate.report.video_files import by_name
from asl_extract.decoders.probe import probe
from asl_extract.videos import find_videos
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.child_process import ReaderProcess
from asl_kit.base.console import err, progress_bar
from asl_kit.base.similar_names import close_matches
from asl_kit.detections.json_format import read_predictions
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import DetectionTables
from asl_kit.errors import AslKitError, UsageError
from asl_kit.outputs.summary import OutputSummary, failure_line
from asl_kit.outputs.viewing import ViewingFiles, ViewingWriter


def render_detections(
    detections: str | Path,
    videos: str | Path | Sequence[str | Path],
    viewing: ViewingFiles,
    *,
    classes: Collection[str] = (),
    table: TableOptions = DEFAULT_TABLE,
) -> OutputSummary:
    """Write subtitles, edit decision lists and clips of detections, as ``asl-kit render`` does.

    A video without a file, or whose file cannot be read, does not stop the others. Detections that start after the end
    of their video are left out.

    Parameters
    ----------
    detections : path
        ActivityNet's JSON, or a table (``.csv``).
    videos : path or sequence of paths
        Video files, folders and patterns; a file is named like the video's id, which may include folders and suffix.
    viewing : ViewingFiles
        Which files to write.
    classes : collection of str
        Show only these classes; by default all.
    table : TableOptions
        Columns and encoding of detections that are a table.

    Raises
    ------
    MissingFileError, PredictionError
        If a file or folder does not exist, or the detections cannot be read.
    UsageError
        If no detection has one of the classes, or no file belongs to a video.
    """
    found = read_predictions(Path(detections), table)
    for name in classes:
        if name not in found.class_names:
            close = close_matches(name, found.class_names)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"no detection of class {name!r}", hint=f"{meant}classes: {', '.join(found.class_names)}")
    if classes:
        found = found.relabelled(found.class_names, dict.fromkeys(classes))
    files = _find_files(found.video_ids, [videos] if isinstance(videos, str | Path) else videos)
    writer = ViewingWriter(viewing, found.video_ids)
    read: list[VideoDetections] = []
    lengths: dict[str, VideoLength] = {}
    left_out = 0
    failed = [f"{video_id}: no file of this name" for video_id in found.video_ids if video_id not in files]
    with progress_bar("videos", len(files)) as bar, ReaderProcess() as reader:
        for video_id, path in files.items():
            try:
                facts = reader.run(probe, path)
            except AslKitError as fault:
                failed.append(fault.message)
                bar.message(failure_line(fault))
            else:
                duration_s = facts.frame_count / facts.fps
                lengths[video_id] = VideoLength(duration_s, facts.fps)
                own = found.for_video(video_id)
                is_inside = own.start_s < duration_s
                left_out += int(np.count_nonzero(~is_inside & (own.score >= viewing.min_score)))
                tables = DetectionTables({"": own.take(is_inside)})
                read.append(VideoDetections(video_id, path, duration_s, facts.fps, facts.frame_count, tables))
                writer.write(read[-1], bar)
            bar.advance()
    writer.cut_best_clips(read)
    report_findings(check_lengths(found, lengths), detections)
    if left_out:
        err().print(f"{left_out:,} segments start after the end of their video and are left out")
    return OutputSummary(len(found.video_ids), writer.written, failed, writer.failures)


def _find_files(video_ids: Sequence[str], sources: Sequence[str | Path]) -> dict[str, Path]:
    """Return the video files by id; ids without a file are left out."""
    found = find_videos(sources, same_names=True)
    named = by_name(video.path for video in found) | {video.video_id: video.path for video in found}
    files = {video_id: named[video_id] for video_id in video_ids if video_id in named}
    if not files:
        raise UsageError(
            f"none of the {len(video_ids)} videos has a file among the {len(found)} that were found",
            hint=f"a video's file is named like its id: {next(iter(video_ids), 'x')}.mp4",
        )
    return files
