"""``asl-kit predict``: options and printing; the work is `asl_kit.prediction.trained_model`'s."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from asl_extract.videos import VideoFile
    from asl_kit.base.console import ProgressBar
    from asl_kit.detections.per_video import VideoDetections

SHOWN = 10
"""Detections printed for each video."""


@click.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO_OR_DIR]...")
@click.option(
    "--list",
    "listed",
    type=click.File(encoding="utf-8", errors="surrogateescape"),
    help="Videos too: a file with one a line; - for stdin.",
)
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path), help="A trained model (model.ckpt).")
@click.option(
    "-o",
    "--out",
    "output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="All detections: x.csv is a table, else JSON. Of several vocabularies, a file each: x-verb.json.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A page (HTML) that plays each video beside its timeline.",
)
@options.for_viewing
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE",
    help="The backbone's weights, if they came from a file; with several feature stores, once for each in their order.",
)
@click.option("--flow-weights", metavar="FILE", help="The weights of the optical flow, if they came from a file.")
@options.device
@options.decoding("as the model's features were read")
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    videos: tuple[str, ...],
    listed: IO[str] | None,
    checkpoint: Path,
    output: Path,
    weights: tuple[str, ...],
    flow_weights: str | None,
    device: str,
    decoder: str | None,
    decoder_threads: int,
    batch_size: int | None,
    workers: int | None,
    time_limit_s: float,
    report: Path | None,
    **viewing: Any,
) -> None:
    """Find actions in new videos.

    Videos are files, folders to search, and patterns such as 'videos/**/*.mp4'.
    Features are extracted as the model's own were: the checkpoint carries how.
    A video that cannot be read does not stop the others; the exit code is then 1.
    Subtitles, edit lists and clips of a video are written as soon as it is done, the rest at the end.
    After Ctrl-C what was found until then is written, and the exit code is 130.
    """
    from asl_evaluate.report import write_detections_report
    from asl_extract.videos import find_videos
    from asl_kit.base.console import err, out, progress_bar
    from asl_kit.detections.per_video import join_tables
    from asl_kit.errors import AslKitError
    from asl_kit.outputs.table import write_detections
    from asl_kit.outputs.viewing import Viewed, ViewingFiles
    from asl_kit.prediction.trained_model import load_model

    sources = [*videos, *(line for line in map(str.strip, listed or ()) if line)]
    if not sources:
        raise click.UsageError("no videos: name files or folders, or give a --list FILE of them")
    files = find_videos(sources, same_names=True)
    to_view = ViewingFiles([file.video_id for file in files], **viewing)
    model = load_model(
        checkpoint,
        device=device,
        weights=weights,
        flow_weights=flow_weights,
        decoder=decoder,
        decoder_threads=decoder_threads,
        batch_size=batch_size,
    )
    found: list[VideoDetections] = []
    viewed = Viewed()
    failures: list[str] = []
    ended: BaseException | None = None
    with progress_bar("frames", None) as bar:
        frames = _Frames(bar, files)
        try:
            with closing(
                model.detect_all(files, workers=workers, time_limit_s=time_limit_s, on_frames=frames.advance)
            ) as results:
                for file, result in results:
                    frames.finish(file)
                    if isinstance(result, AslKitError):
                        failures.append(result.message)
                        bar.message(f"failed: {result.message}" + (f" ({result.hint})" if result.hint else ""))
                    else:
                        found.append(result)
                        viewed.take(to_view.write(result), bar)
        except (KeyboardInterrupt, Exception) as fault:
            ended = fault  # once all that was found is written
    problems = ["\n  ".join([f"{len(failures)} of {len(files)} videos failed", *failures])] if failures else []
    if found:
        written = write_detections(output, found)
        if report is not None:
            *_, shown = join_tables(found).values()  # of several vocabularies, their combinations
            write_detections_report(
                report,
                shown,
                durations_s={video.video_id: video.duration_s for video in found},
                files={video.video_id: video.path for video in found},
            )
            written.append(report)
        if to_view.max_clips is not None and ended is None:
            with progress_bar("cutting clips", None) as bar:
                viewed.take(to_view.write_surest_clips(found), bar, count=True)
        for video in found:
            _print_best(video)
        for path in [*written, *viewed.written]:
            out().print(str(path))
    if ended is not None:
        held = f"{output} holds those of the {len(found)} that were done" if found else "nothing was written"
        err().print(f"stopped: {len(files) - len(found)} of {len(files)} videos have no detections; {held}")
        if isinstance(ended, KeyboardInterrupt):
            ctx.exit(130)
        raise ended
    problems += viewed.problems
    if problems:
        raise AslKitError("\n".join(problems))


class _Frames:
    """Counts frames of all videos; those of files that are still to be opened are judged by their size."""

    def __init__(self, bar: ProgressBar, files: Sequence[VideoFile]) -> None:
        self._bar = bar
        self._closed_bytes = {file.video_id: _size(file.path) for file in files}
        self._opened_bytes = 0
        self._opened_frames = 0
        self._left: dict[str, float] = {}
        self._done = 0.0
        self._started_s = time.monotonic()

    def advance(self, file: VideoFile, frames: float, total: int) -> None:
        """Count frames of a video that has `total`."""
        if file.video_id in self._closed_bytes:
            self._opened_bytes += self._closed_bytes.pop(file.video_id)
            self._opened_frames += total
            self._left[file.video_id] = float(total)
            self._expect()
        self._left[file.video_id] -= frames
        self._done += frames
        elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
        self._bar.note(f"{self._done / elapsed_s:.0f} frames/s  {file.path.name}")
        self._bar.advance(frames)

    def finish(self, file: VideoFile) -> None:
        """Expect no more of a video, decoded wholly or not."""
        self._closed_bytes.pop(file.video_id, None)
        self._opened_frames -= round(self._left.pop(file.video_id, 0.0))
        self._expect()

    def _expect(self) -> None:
        per_byte = self._opened_frames / self._opened_bytes if self._opened_bytes else 0.0
        self._bar.expect(self._opened_frames + round(per_byte * sum(self._closed_bytes.values())))


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _print_best(video: VideoDetections) -> None:
    from rich.table import Table

    from asl_kit.base.console import out

    for detections in video.tables.values():
        rows = detections.rows(video.video_id)
        table = Table(title=f"{video.video_id}: {len(rows)} detections, the {min(SHOWN, len(rows))} surest")
        for column in ("start s", "end s", "score"):
            table.add_column(column, justify="right")
        table.add_column("action")
        for row in rows[:SHOWN]:
            table.add_row(f"{row.start_s:.2f}", f"{row.end_s:.2f}", f"{row.score:.3f}", row.label)
        out().print(table)
