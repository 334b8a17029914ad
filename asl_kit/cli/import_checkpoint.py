"""The command ``asl-kit import-checkpoint``."""

from __future__ import annotations

from typing import Any

import click

from asl_kit.cli.options import PATH, split_stores


@click.command("import-checkpoint")
@click.argument("file", type=PATH)
@click.option(
    "--from",
    "source",
    type=click.Choice(["actionformer", "tridet"]),
    required=True,
    help="The program that wrote it.",
)
@click.option("--config", type=PATH, metavar="YAML", required=True, help="The configuration that it was trained with.")
@click.option("-o", "--out", type=PATH, metavar="CHECKPOINT", required=True, help="The checkpoint to write.")
@click.option(
    "--weights",
    type=click.Choice(["ema", "plain"]),
    default="ema",
    show_default=True,
    help="The moving average of the weights, which these programs evaluate, or the weights themselves.",
)
@click.option("--annotations", type=PATH, metavar="FILE", help="Unified annotations with the class names.")
@click.option("--vocabulary", metavar="NAME", help="Vocabulary, if several have this number of classes.")
@click.option("--features", metavar="STORE[,STORE]", help="Stores that record how the features were made.")
def import_checkpoint(features: str | None, **options: Any) -> None:
    """Convert a checkpoint that ActionFormer or TriDet trained.

    Without --annotations, class names come from the annotation file of the configuration if it exists, else
    from the dataset's manifest.

    \b
    asl-kit import-checkpoint epoch_034.pth.tar --from actionformer --config thumos_i3d.yaml -o model.ckpt
    """
    from asl_kit.base.console import escape_control_characters
    from asl_kit.checkpoint_import import import_checkpoint as run

    imported = run(**options, features=split_stores(features))
    click.echo(escape_control_characters(imported.to_text()))
