"""The command ``asl-kit init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH, image_fps, json_option

if TYPE_CHECKING:
    from asl_kit.annotations.tables import TableOptions


@click.command()
@click.argument("annotations", metavar="CSV", type=PATH)
@click.argument("videos", metavar="VIDEO_DIR", type=PATH)
@click.option("--out", type=PATH, help="Folder for annotations, recipe and script. Default: write nothing.")
@click.option("--device", default="auto", show_default=True, help="Device of the proposal: auto, cpu, cuda or cuda:N.")
@click.option(
    "--weights",
    metavar="default|random|FILE",
    default="default",
    show_default=True,
    help="Weights of the backbone; random: try without a download.",
)
@click.option("--update", is_flag=True, help="Put new videos and rows into the project in --out.")
@options.table
@image_fps
@json_option("survey and proposal")
def init(
    annotations: Path,
    videos: Path,
    out: Path | None,
    device: str,
    weights: str,
    update: bool,
    table: TableOptions,
    image_fps: float | None,
    json_path: str | None,
) -> None:
    """Survey your own videos and annotations, and propose how to train on them.

    CSV is a table for `asl-kit convert csv`, or the annotations.json of any converter.
    OUT receives annotations.json, recipe.toml and run.sh, which runs every step.
    Files that you have edited are not replaced. The duration of a video is that of its file:
    if a segment ends later, nothing is written.

    With --update, CSV and VIDEO_DIR hold the videos of the project and more. Earlier videos keep their
    split, features and files that you have edited stay, and run.sh trains a new model beside the earlier one.

    \b
    asl-kit init segments.csv videos --out project
    bash project/run.sh
    """
    from asl_kit.base.console import err
    from asl_kit.base.console import out as stdout
    from asl_kit.cli.output import write_json
    from asl_kit.own_data.project import write_project
    from asl_kit.own_data.proposal import propose, resolve_weights
    from asl_kit.own_data.record import read_project
    from asl_kit.own_data.survey import survey_videos
    from asl_kit.own_data.survey_table import print_proposal, print_survey
    from asl_kit.own_data.update import plan_update
    from asl_kit.own_data.update_table import print_update
    from asl_kit.own_data.video_headers import refuse_beyond_end
    from asl_kit.torch_utils.device import choose_device

    console = stdout()
    console.quiet = json_path == "-"
    chosen, weights = choose_device(device), resolve_weights(weights)
    project = read_project(_needed(out)) if update else None
    survey = survey_videos(annotations, videos, table, project=project and project.annotations, image_fps=image_fps)
    print_survey(survey, console)
    refuse_beyond_end(survey.beyond_end, source=str(annotations))
    proposal = propose(survey, device=chosen, weights=weights, extraction=project and project.extraction)
    print_proposal(proposal, console)
    results = survey.to_json() | {"proposed": proposal.to_json()}
    planned = None
    if project is not None:
        planned = plan_update(project, survey, proposal, device=chosen, weights=weights)
        print_update(planned, console)
        results["update"] = planned.to_json()
    if out is not None:
        for path in write_project(out, survey, proposal, planned):
            err().print(f"wrote {path}")
    if json_path is not None:
        write_json(results, json_path)


def _needed(out: Path | None) -> Path:
    if out is None:
        raise click.UsageError("--update needs --out: the folder of the project")
    return out
