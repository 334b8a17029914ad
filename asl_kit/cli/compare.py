"""The command ``asl-kit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH
from asl_kit.cli.output import show


@click.command()
@click.argument("first", type=PATH, metavar="A")
@click.argument("second", type=PATH, metavar="B")
@options.required_annotations
@options.scoring
@options.table
@options.bootstrap
def compare(
    first: Path, second: Path, annotations: Path, resamples: int, seed: int, json_path: str | None, **scoring: Any
) -> None:
    """Test whether predictions B are better than predictions A.

    Both are ActivityNet detection JSON, or tables (x.csv), for the same videos. Shows the difference in mAP with its
    confidence interval and p-value, from a paired bootstrap over the videos.

    \b
    asl-kit compare baseline.json new.json --annotations annotations.json
    """
    from asl_evaluate.comparison import compare_files
    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.terminal_tables import print_comparison

    comparison = compare_files(first, second, annotations, ScoringOptions(**scoring), resamples=resamples, seed=seed)
    show(comparison, print_comparison, json_path)
