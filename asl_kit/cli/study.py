"""The command ``asl-kit study``."""

from __future__ import annotations

from pathlib import Path

import click

from asl_kit.cli.options import PATH, json_option
from asl_kit.cli.output import show as show_result


@click.command()
@click.argument("file", type=PATH, metavar="STUDY.toml")
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Folder of the study; a folder for each run.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Runs at once, which share the cores.  [default: one a GPU; on a CPU one a core, at most 4]",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto: every GPU, or else the CPU; cpu; cuda:0,cuda:1: these.",
)
@click.option("--ray", metavar="ADDRESS", help="Do the runs on a Ray cluster; local: start one here.")
@click.option("--show", is_flag=True, help="Run nothing; show what is finished.")
@json_option("scores and differences")
@click.pass_context
def study(
    ctx: click.Context,
    /,
    file: Path,
    out: Path,
    jobs: int | None,
    device: str,
    ray: str | None,
    show: bool,
    json_path: str | None,
) -> None:
    """Train variants on the same sets and seeds, and compare them.

    The file names sets, variants and seeds, and any key of the recipe. OUT receives a folder
    for each run and study.html. Run the same command again after an interruption or a change
    of the file: finished runs are kept, interrupted ones continue, changed ones start anew.

    \b
    asl-kit study study.toml --out study
    """
    from asl_kit.study.execution import run_study
    from asl_kit.study.results import print_result

    result = run_study(file, out, jobs=jobs, device=device, ray=ray, show=show)
    show_result(result, print_result, json_path)
    if result.failed:
        ctx.exit(1)
