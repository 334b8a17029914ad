"""``asl-kit init``: options only; the work is that of `asl_kit.own_data`."""

from __future__ import annotations

from pathlib import Path

import click

from asl_kit.cli.options import json_option


@click.command()
@click.argument("annotations", metavar="CSV", type=click.Path(path_type=Path))
@click.argument("videos", metavar="VIDEO_DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for annotations, recipe and script; without it: look only."
)
@click.option("--device", default="auto", show_default=True, help="What to propose for: auto, cpu, cuda or cuda:N.")
@click.option(
    "--weights",
    metavar="default|random|FILE",
    default="default",
    show_default=True,
    help="Of the backbone; random: to try out without a download.",
)
@json_option("all of it")
def init(annotations: Path, videos: Path, out: Path | None, device: str, weights: str, json_path: str | None) -> None:
    """Look at videos and annotations of your own; propose how to train on them.

    CSV is what `asl-kit convert csv` reads, or annotations.json of any converter.
    OUT receives annotations.json, recipe.toml and run.sh, which runs every step.
    Files that you have edited are not replaced.

    \b
    asl-kit init segments.csv videos --out project
    bash project/run.sh
    """
    from asl_kit.base.console import err
    from asl_kit.base.console import out as stdout
    from asl_kit.cli.output import write_json
    from asl_kit.errors import MissingFileError
    from asl_kit.own_data.project import write_project
    from asl_kit.own_data.proposal import propose
    from asl_kit.own_data.survey import look
    from asl_kit.own_data.survey_table import print_proposal, print_survey
    from asl_kit.torch_utils.device import choose_device

    chosen = choose_device(device)
    if weights not in ("default", "random"):
        if not Path(weights).is_file():
            raise MissingFileError(f"--weights {weights}: no such file")
        weights = str(Path(weights).resolve())
    survey = look(annotations, videos)
    proposal = propose(survey, device=chosen, weights=weights)
    if json_path != "-":
        print_survey(survey, stdout())
        print_proposal(proposal, stdout())
    if out is not None:
        for path in write_project(out, survey, proposal):
            err().print(f"wrote {path}")
    if json_path is not None:
        write_json(survey.to_json() | {"proposed": proposal.to_json()}, json_path)
