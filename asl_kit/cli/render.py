"""``asl-kit render``: options and printing; the work is `asl_kit.outputs`'s."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli.options import for_viewing

if TYPE_CHECKING:
    from asl_kit.detections.per_video import VideoDetections


@click.command()
@click.argument("detections", type=click.Path(path_type=Path))
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO_OR_DIR...")
@for_viewing
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="Only detections of this class; may be repeated."
)
def render(detections: Path, videos: tuple[str, ...], classes: tuple[str, ...], **viewing: Any) -> None:
    """Write subtitles, edit decision lists and clips of detections.

    \b
    asl-kit render detections.json videos --clips best --max-clips 10 --min-score 0.6

    Of detections that there are: ActivityNet's JSON, of whatever program, or a table (x.csv) as predict writes it.
    Videos are files, folders to search, and patterns; a video's file is named like its id.
    A video without a file, or that cannot be read, does not stop the others; the exit code is then 1.
    """
    from asl_kit.base.child_process import ReaderProcess
    from asl_kit.base.console import out, progress_bar
    from asl_kit.detections.json_format import read_predictions
    from asl_kit.errors import AslKitError
    from asl_kit.outputs.from_file import find_files, keep_classes, read_video
    from asl_kit.outputs.viewing import Viewed, ViewingFiles

    if not any(viewing[name] for name in ("subtitles", "edl", "clips")):
        raise click.UsageError("nothing to write: give --subtitles DIR, --edl DIR or --clips DIR")
    found = read_predictions(detections)
    if classes:
        found = keep_classes(found, classes)
    files = find_files(found.video_ids, videos)
    to_view = ViewingFiles(found.video_ids, **viewing)
    viewed = Viewed()
    read: list[VideoDetections] = []
    faults = [f"{video_id}: no file of this name" for video_id in found.video_ids if video_id not in files]
    with progress_bar("videos", len(files)) as bar, ReaderProcess() as reader:
        for video_id, path in files.items():
            try:
                read.append(read_video(video_id, path, found, reader))
                viewed.take(to_view.write(read[-1]), bar)
            except AslKitError as fault:
                faults.append(fault.message)
                bar.message(f"failed: {fault.message}")
            bar.advance()
    if to_view.max_clips is not None:
        with progress_bar("cutting clips", None) as bar:
            viewed.take(to_view.write_surest_clips(read), bar, count=True)
    for path in viewed.written:
        out().print(str(path))
    problems = ["\n  ".join([f"{len(faults)} of {len(found.video_ids)} videos failed", *faults])] if faults else []
    problems += viewed.problems
    if problems:
        raise AslKitError("\n".join(problems))
