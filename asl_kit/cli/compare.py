"""The command ``asl-kit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asl_kit.cli.options import resampled_task

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("first", type=_PATH, metavar="A")
@click.argument("second", type=_PATH, metavar="B")
@resampled_task
def compare(first: Path, second: Path, json_path: str | None, **task: Any) -> None:
    """Tell whether predictions B are better than predictions A.

    Both are ActivityNet detection JSON for the same videos. Shows the difference in mAP with its
    confidence interval and p-value, by a paired bootstrap over the videos.

    \b
    asl-kit compare baseline.json new.json --annotations annotations.json
    """
    from asl_evaluate.comparison import compare_files
    from asl_evaluate.diagnosis_table import print_comparison
    from asl_kit.base import console as progress
    from asl_kit.cli.output import write_json

    comparison = compare_files(first=first, second=second, **task)
    print_comparison(comparison, progress.err() if json_path == "-" else progress.out())
    if json_path is not None:
        write_json(comparison.to_json(), json_path)
