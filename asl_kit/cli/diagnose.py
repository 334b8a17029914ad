"""The command ``asl-kit diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH
from asl_kit.cli.output import show


@click.command()
@click.option(
    "--predictions",
    type=PATH,
    metavar="FILE",
    required=True,
    help="ActivityNet detection JSON, or a table: x.csv.",
)
@options.required_annotations
@options.scoring
@options.table
@options.bootstrap
def diagnose(
    predictions: Path, annotations: Path, resamples: int, seed: int, json_path: str | None, **scoring: Any
) -> None:
    """Show why a score is what it is.

    Shows types of error and what each costs, the score by length, coverage and number of segments
    (after DETAD), missed segments, and confidence intervals of mAP.

    \b
    asl-kit diagnose --predictions detections.json --annotations annotations.json
    """
    from asl_evaluate.diagnosis import diagnose_file
    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.terminal_tables import print_diagnosis

    diagnosis = diagnose_file(predictions, annotations, ScoringOptions(**scoring), resamples=resamples, seed=seed)
    show(diagnosis, print_diagnosis, json_path)
