"""The command ``asl-kit train``."""

from __future__ import annotations

from pathlib import Path

import click

from asl_kit.cli.options import PATH, PathOrAddress, list_option, split_stores
from asl_kit.cli.options import device as device_option
from asl_kit.remote.address import Address


@click.command()
@click.option("--annotations", type=PATH, help="Unified annotations (JSON).")
@click.option("--features", metavar="STORE[,STORE]", help="Feature store, or one for each stream.")
@click.option("--out", type=PathOrAddress(), metavar="PATH", help="Folder of the run.")
@click.option("--recipe", metavar="NAME|FILE", help="Built-in recipe or TOML file. Default: the default values.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key: optimizer.epochs=20.")
@list_option("--list-recipes", "asl_kit.recipes.files:recipes_table", "the built-in recipes with published results")
@click.option("--print-recipe", is_flag=True, help="Print the recipe with every key explained, and exit.")
@click.option(
    "--start-from",
    type=PATH,
    metavar="CHECKPOINT",
    help="Start from the weights of a trained model, as far as they fit; prints what was taken.",
)
@click.option("--resume", is_flag=True, help="Resume the run in --out.")
@device_option
def train(
    annotations: Path | None,
    features: str | None,
    out: Path | Address | None,
    recipe: str | None,
    settings: tuple[str, ...],
    print_recipe: bool,
    start_from: Path | None,
    resume: bool,
    device: str,
) -> None:
    """Train a model from annotations and features.

    Sequence length, pyramid levels and regression ranges are derived from the data and
    printed; the recipe can set them. OUT receives model.ckpt (the trained model),
    last.ckpt (to resume from), curve.jsonl and TensorBoard files.

    Several processes, one for each GPU, train one model: torchrun --standalone
    --nproc-per-node N -m asl_kit train ...
    """
    from asl_kit.base.console import err
    from asl_kit.recipes.files import load_recipe, to_toml

    chosen = load_recipe(recipe, settings)
    if print_recipe:
        click.echo(to_toml(chosen), nl=False)
        return
    if annotations is None or features is None or out is None:
        raise click.UsageError("--annotations, --features and --out are needed")

    from asl_train.trainer import train_model

    try:
        result = train_model(
            annotations, split_stores(features), out, chosen, start_from=start_from, resume=resume, device=device
        )
    except KeyboardInterrupt:
        click.echo("stopped; run the same command with --resume to continue", err=True)
        raise click.exceptions.Exit(130) from None
    if result.is_main_process:
        err().print(f"kept: {result.kept}")
        click.echo(result.checkpoint)
