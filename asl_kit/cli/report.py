"""The command ``asl-kit report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH


@click.command()
@click.option(
    "--predictions", type=PATH, metavar="FILE", required=True, help="ActivityNet detection JSON, or a table: x.csv."
)
@click.option("--annotations", type=PATH, metavar="FILE", help="Unified annotations to score against.")
@click.option("-o", "--out", type=PATH, metavar="FILE", required=True, help="The HTML file to write.")
@options.protocol
@options.scoring
@options.table
@click.option("--videos", type=PATH, metavar="DIR", help="Play the videos in this folder beside their timelines.")
@click.option("--sensitivity", type=PATH, metavar="FILE", help="Show the curves of asl-kit eval --sensitivity FILE.")
@click.option(
    "--predictions-per-video",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Number of predictions shown per video, those with the highest scores.",
)
def report(
    *,
    predictions: Path,
    annotations: Path | None,
    out: Path,
    videos: Path | None,
    sensitivity: Path | None,
    predictions_per_video: int,
    **scoring: Any,
) -> None:
    """Write scores, errors and timelines as one HTML page.

    \b
    asl-kit report --predictions detections.json --annotations annotations.json -o report.html
    asl-kit report --predictions detections.json --videos videos -o report.html

    Without annotations, the page shows the detections without scores.
    The page needs no network. Videos are not copied: the page plays the original files.
    """
    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.report import report_file
    from asl_kit.base.console import err
    from asl_kit.outputs.detections_report import report_detections

    how = ScoringOptions(**scoring)
    if annotations is None:
        _refuse_scoring(how.changed() + ["sensitivity"] * (sensitivity is not None))
        report_detections(
            out,
            predictions=predictions,
            table=how.table,
            videos=videos,
            predictions_per_video=predictions_per_video,
        )
    else:
        report_file(
            out,
            predictions=predictions,
            annotations=annotations,
            options=how,
            videos=videos,
            sensitivity=sensitivity,
            predictions_per_video=predictions_per_video,
        )
    err().print(f"wrote {out}")


def _refuse_scoring(options: Sequence[str]) -> None:
    """Raise a UsageError if there are options that need annotations."""
    from asl_kit.errors import UsageError

    if options:
        raise UsageError(
            f"{', '.join(f'--{name}' for name in options)}: needs --annotations FILE",
            hint="without annotations, a report shows the detections and scores nothing",
        )
