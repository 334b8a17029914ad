"""The command ``asl-kit render``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH

if TYPE_CHECKING:
    from asl_kit.annotations.tables import TableOptions


@click.command()
@click.argument("detections", type=PATH)
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO_OR_DIR...")
@options.for_viewing
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="Use only detections of this class; may be repeated."
)
@options.table
def render(
    detections: Path, videos: tuple[str, ...], classes: tuple[str, ...], table: TableOptions, **viewing: Any
) -> None:
    """Write subtitles, edit decision lists and clips of detections.

    \b
    asl-kit render detections.json videos --clips best --max-clips 10 --min-score 0.6

    DETECTIONS is ActivityNet's JSON from any program, or a table (x.csv).
    Videos are files, folders to search, and patterns; a video's file has the name of its id.
    A video without a file, or whose file cannot be read, does not stop the others; the exit code is then 1.
    """
    from asl_kit.base.console import out
    from asl_kit.outputs.render import render_detections
    from asl_kit.outputs.viewing import ViewingFiles

    if not any(viewing[name] for name in ("subtitles", "edl", "clips")):
        raise click.UsageError("nothing to write: give --subtitles DIR, --edl DIR or --clips DIR")
    summary = render_detections(detections, videos, ViewingFiles(**viewing), classes=classes, table=table)
    for path in summary.written:
        out().print(str(path))
    summary.raise_failures()
