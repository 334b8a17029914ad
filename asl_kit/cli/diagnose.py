"""The command ``asl-kit diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asl_kit.cli.options import resampled_task

_PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--predictions", type=_PATH, metavar="FILE", required=True, help="ActivityNet detection JSON, or a table: x.csv."
)
@resampled_task
def diagnose(predictions: Path, json_path: str | None, **task: Any) -> None:
    """Show why a score is what it is.

    Kinds of error and what each costs, how the score depends on the length, coverage and number of
    segments (after DETAD), what is missed, and confidence intervals of mAP.

    \b
    asl-kit diagnose --predictions detections.json --annotations annotations.json
    """
    from asl_evaluate.diagnosis import diagnose_file
    from asl_evaluate.diagnosis_table import print_diagnosis
    from asl_kit.base import console as progress
    from asl_kit.cli.output import write_json

    diagnosis = diagnose_file(predictions=predictions, **task)
    print_diagnosis(diagnosis, progress.err() if json_path == "-" else progress.out())
    if json_path is not None:
        write_json(diagnosis.to_json(), json_path)
