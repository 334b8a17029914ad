"""The command ``asl-kit report``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from asl_evaluate.protocols import PROTOCOLS
from asl_kit.cli import options

_PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--predictions", type=_PATH, metavar="FILE", required=True, help="ActivityNet detection JSON, or a table: x.csv."
)
@click.option("--annotations", type=_PATH, metavar="FILE", help="Unified annotations to score against.")
@click.option("-o", "--out", type=_PATH, metavar="FILE", required=True, help="The HTML file to write.")
@click.option("--protocol", type=click.Choice(list(PROTOCOLS)), help="As for asl-kit eval.")
@options.scoring
@click.option("--videos", type=_PATH, metavar="DIR", help="Play the videos of this folder beside their timelines.")
@click.option("--sensitivity", type=_PATH, metavar="FILE", help="Show the curves of asl-kit eval --sensitivity FILE.")
@click.option(
    "--predictions-per-video",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many predictions of a video stand on the page, those of highest score.",
)
def report(
    predictions: Path,
    annotations: Path | None,
    out: Path,
    split: str | None,
    protocol: str | None,
    tiou: str | None,
    duplicates: Literal["keep", "drop"],
    vocabulary: str | None,
    videos: Path | None,
    sensitivity: Path | None,
    predictions_per_video: int,
) -> None:
    """Write scores, errors and timelines as one HTML page.

    \b
    asl-kit report --predictions detections.json --annotations annotations.json -o report.html
    asl-kit report --predictions detections.json --videos videos -o report.html

    Without annotations it shows what was found, and judges nothing.
    The page needs no network. The videos are not copied: they stay where they are.
    """
    from asl_evaluate.report import report_file
    from asl_kit.base import console as progress

    report_file(
        out,
        predictions=predictions,
        annotations=annotations,
        split=split,
        protocol=protocol,
        tiou=tiou,
        duplicates=duplicates,
        vocabulary=vocabulary,
        videos=videos,
        sensitivity=sensitivity,
        predictions_per_video=predictions_per_video,
    )
    progress.err().print(f"wrote {out}")
