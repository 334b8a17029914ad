"""The command ``asl-kit check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH
from asl_kit.cli.output import show

if TYPE_CHECKING:
    from asl_kit.annotations.tables import TableOptions


@click.command()
@click.argument("predictions", type=PATH)
@options.required_annotations
@click.option("--split", metavar="NAME[,NAME]", help="The split that the predictions are for. Default: all videos.")
@click.option("--vocabulary", metavar="NAME", help="The vocabulary of the labels, if the annotations have several.")
@click.option("-o", "--out", "output", type=PATH, metavar="FILE", help="Write a mended file.")
@options.table
@options.json_option("the result")
def check(
    predictions: Path,
    annotations: Path,
    split: str | None,
    vocabulary: str | None,
    output: Path | None,
    table: TableOptions,
    json_path: str | None,
) -> None:
    """Check predictions for wrong units, video ids and labels.

    \b
    asl-kit check predictions.json --annotations annotations.json
    asl-kit check predictions.json --annotations annotations.json -o mended.json

    The mended file has times in seconds, and the ids and labels of the annotations, where the
    mistake has only one explanation. All segments are kept. The exit code is 1 if there are
    errors or warnings, with -o if some are left.
    """
    from asl_evaluate.check_file import check_file, print_check

    result = check_file(predictions, annotations, split=split, vocabulary=vocabulary, output=output, table=table)
    show(result, print_check, json_path)
    click.get_current_context().exit(0 if result.is_clean else 1)
