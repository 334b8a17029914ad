"""The command ``asl-kit demo``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from asl_kit.cli.options import PATH, json_option


@click.command()
@click.option(
    "--out",
    type=PATH,
    default=Path("asl-kit-demo"),
    show_default=True,
    help="Folder for videos, features and results.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Determines what the videos show."
)
@json_option("scores and times")
def demo(out: Path, seed: int, json_path: str | None) -> None:
    """Make small videos and run every step on them.

    Jointed figures perform actions that differ only in their motion. A model is trained on
    20 videos, scored on 8 others, and run on one more. No download, no GPU;
    about three minutes on two cores. Run the same command again after an interruption.
    """
    from asl_kit.base.console import err
    from asl_kit.base.console import out as stdout
    from asl_kit.cli.output import write_json
    from asl_kit.demo.pipeline import run_demo

    result = run_demo(out, seed=seed, console=err() if json_path == "-" else stdout())
    if json_path is not None:
        write_json(asdict(result), json_path)
