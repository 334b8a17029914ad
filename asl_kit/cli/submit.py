"""The command ``asl-kit submit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH

if TYPE_CHECKING:
    from asl_kit.annotations.tables import TableOptions


@click.command()
@click.option(
    "--to",
    "benchmark",
    type=click.Choice(["epic-kitchens", "ego4d-mq", "activitynet"]),
    required=True,
    help="The benchmark whose format to write.",
)
@click.option(
    "--predictions",
    metavar="FILE[,FILE]",
    required=True,
    help="What to submit. epic-kitchens: one file of actions, or verbs,nouns; ego4d-mq: one, or detection,retrieval.",
)
@options.required_annotations
@click.option("-o", "--out", type=PATH, metavar="FILE", required=True, help="The file to write.")
@click.option("--split", metavar="NAME[,NAME]", help="Default: the split of all predicted videos.")
@click.option(
    "--per-video",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the N predictions with the highest scores of each video. Default: all.",
)
@click.option("--sls", metavar="PT,TL,TD", help="epic-kitchens: levels of supervision, 0 to 5 each (arXiv:2008.09890).")
@click.option("--external-data", metavar="TEXT", help="activitynet: other training data of the model. Default: none.")
@options.table
def submit(
    benchmark: str,
    predictions: str,
    annotations: Path,
    out: Path,
    split: str | None,
    per_video: int | None,
    sls: str | None,
    external_data: str | None,
    table: TableOptions,
) -> None:
    """Write predictions in the format that a benchmark's server accepts.

    \b
    asl-kit submit --to ego4d-mq --predictions detections.json --annotations ego4d-mq.json -o submission.json
    """
    from asl_evaluate.submission import TrainingFacts, parse_supervision
    from asl_evaluate.submission import submit as write_submission
    from asl_kit.base.console import escape_control_characters

    submission = write_submission(
        benchmark=benchmark,
        predictions=options.split_paths(predictions, "--predictions"),
        annotations=annotations,
        output=out,
        split=split,
        per_video=per_video,
        training=TrainingFacts(parse_supervision(sls) if sls is not None else None, external_data),
        table=table,
    )
    click.echo(escape_control_characters(submission.to_text()))
