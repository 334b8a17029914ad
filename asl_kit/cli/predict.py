"""The command ``asl-kit predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli import options

if TYPE_CHECKING:
    from asl_kit.detections.per_video import VideoDetections

SHOWN = 10
"""Detections printed for each video."""


@click.command()
@options.videos
@options.checkpoints(required=True)
@click.option(
    "-o",
    "--out",
    "output",
    required=True,
    type=options.LocalPath(path_type=Path, dir_okay=False),
    help="All detections: a table if x.csv, else JSON. Several vocabularies have a file each: x-verb.json.",
)
@click.option(
    "--report",
    type=options.LocalPath(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write an HTML page that plays each video beside its timeline.",
)
@options.for_viewing
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE",
    help="Weights of the backbone, if from a file; with several backbones, give one for each, in order.",
)
@click.option("--flow-weights", metavar="FILE", help="Weights of the optical flow method, if from a file.")
@options.video_scores
@options.image_fps
@options.devices
@options.decoding("as in training")
@options.cache
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    videos: list[str],
    checkpoint: tuple[Path, ...],
    output: Path,
    report: Path | None,
    **others: Any,
) -> None:
    """Find actions in new videos.

    Videos are files, folders to search, and patterns such as 'videos/**/*.mp4'.
    A folder or a tar of numbered images is a video too. Videos at addresses
    (https://, s3://, gs://) are fetched one by one.
    Features are extracted as recorded in the checkpoint.
    A video that cannot be read does not stop the others; the exit code is then 1.
    Subtitles, edit lists and clips are written after each video, everything else at the end.
    After Ctrl-C, the detections made so far are written, and the exit code is 130.
    """
    from asl_kit.base.console import err, out
    from asl_kit.outputs.viewing import ViewingFiles
    from asl_kit.prediction.predict_videos import PredictionOptions, predict_videos

    viewing = options.make_record(ViewingFiles, others)
    how = options.make_record(PredictionOptions, others)
    summary = predict_videos(videos, checkpoint, output, report=report, viewing=viewing, options=how, check=False)
    for video in summary.videos:
        _print_best(video)
    for path in summary.written:
        out().print(str(path))
    if summary.stopped_by is not None:
        done, count = len(summary.videos), summary.video_count
        kept = f"their detections are in {output}" if done else "nothing was written"
        err().print(f"stopped: {done} of {count} videos are done; {kept}")
    if isinstance(summary.stopped_by, KeyboardInterrupt):
        ctx.exit(130)
    summary.raise_failures()


def _print_best(video: VideoDetections) -> None:
    from rich.table import Table

    from asl_kit.base.console import out

    for detections in video.tables.named.values():
        rows = detections.rows(video.video_id)
        title = f"{video.video_id}: {len(rows)} detections, the {min(SHOWN, len(rows))} with the highest scores"
        table = Table(title=title)
        for column in ("start s", "end s", "score"):
            table.add_column(column, justify="right")
        table.add_column("action")
        for row in rows[:SHOWN]:
            table.add_row(f"{row.start_s:.2f}", f"{row.end_s:.2f}", f"{row.score:.3f}", row.label)
        out().print(table)
