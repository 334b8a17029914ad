"""The command ``asl-kit fuse``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH

if TYPE_CHECKING:
    from asl_kit.annotations.tables import TableOptions


@click.command()
@click.argument("predictions", nargs=-1, required=True, type=PATH, metavar="A B...")
@click.option("-o", "--out", "output", required=True, type=PATH, metavar="FILE", help="The JSON file to write.")
@options.weights("--weights", "Weight of each file. Default: equal.")
@click.option(
    "--min-tiou",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Detections of one class that overlap by at least this tIoU are fused.",
)
@options.table
def fuse(
    predictions: tuple[Path, ...], output: Path, weights: list[float] | None, min_tiou: float, table: TableOptions
) -> None:
    """Fuse the detections of several models, or of other tools, into one file.

    Each file is ActivityNet detection JSON, or a table (x.csv). Scores are brought to one scale. Detections of one
    class that overlap become one: its segment is the mean weighted by score, its score the mean over the files.

    \b
    asl-kit fuse seed-0.json seed-1.json seed-2.json -o fused.json

    To average the outputs of models that this program trained, before detections are chosen, give
    `asl-kit eval` or `asl-kit predict` several --checkpoint.
    """
    from asl_kit.base.console import err, out, warn
    from asl_kit.detections.fusion import fuse_files
    from asl_kit.errors import first_few

    fused = fuse_files(predictions, output, weights=weights, min_tiou=min_tiou, table=table)
    if fused.not_in_all:
        warn(err(), f"{len(fused.not_in_all)} videos are not in every file: {first_few(fused.not_in_all)}")
    count, videos = len(fused.detections), len(fused.detections.video_ids)
    out().print(f"wrote {output}: {count:,} detections in {videos:,} videos, from {len(predictions)} files")
