"""The command ``asl-kit annotations``: check, describe and export annotation files."""

import json
from pathlib import Path

import click

from asl_kit.cli.options import PATH, PathOrAddress, json_option
from asl_kit.remote.address import Address

FILE = click.argument("file", type=PATH)
AS_JSON = json_option("the result")


@click.group()
def annotations() -> None:
    """Check, describe and export annotation files."""


@annotations.command()
@FILE
@AS_JSON
def validate(file: Path, json_path: str | None) -> None:
    """Validate an annotation file; list every error with its video and field."""
    from asl_kit.annotations.io import find_errors, read_annotations
    from asl_kit.base.console import out
    from asl_kit.cli.output import write_json

    if json_path is not None:
        errors = find_errors(file)
        write_json({"file": str(file), "valid": not errors, "errors": errors}, json_path)
    checked = read_annotations(file)
    segments = sum(len(video.segments or ()) for video in checked.videos.values())
    if json_path != "-":
        out().print(f"{file}: valid: {len(checked.videos)} videos, {segments} segments")


@annotations.command()
@FILE
@AS_JSON
@click.option("--html", "html_path", type=PATH, help="Write plots and tables as one HTML page.")
@click.option(
    "--step", "step_s", type=click.FloatRange(0, min_open=True), help="Time between two features, in seconds."
)
@click.option("--features", "store", type=PathOrAddress(), metavar="STORE", help="States the step of each video.")
def stats(
    file: Path, json_path: str | None, html_path: Path | None, step_s: float | None, store: Path | Address | None
) -> None:
    """Print counts of videos, segments and classes, lengths, overlaps and class balance.

    With --features or --step, also count the segments that are shorter than one feature step.
    """
    from asl_kit.annotations.io import read_annotations
    from asl_kit.annotations.statistics import describe
    from asl_kit.base.console import err, out
    from asl_kit.cli.output import write_json
    from asl_kit.errors import UsageError

    if step_s is not None and store is not None:
        raise UsageError("--step and --features: give only one of them")
    described = read_annotations(file)
    steps: float | dict[str, float] | None = step_s
    if store is not None:
        from asl_kit.store import FeatureStore

        features = FeatureStore.open(store)
        steps = {name: features.info(name).grid.step_s for name in described.videos if name in features}
    statistics = describe(described, step_s=steps)
    if html_path is not None:
        from asl_kit.annotations.statistics_page import write_page

        write_page(described, statistics, html_path)
        err().print(f"wrote {html_path}")
    if json_path is not None:
        write_json(statistics.to_json(), json_path)
    if json_path != "-":
        statistics.print(out())


@annotations.command()
@FILE
@click.option("--to", "layout", required=True, type=click.Choice(["activitynet", "csv"]), help="Layout to write.")
@click.option("-o", "--out", required=True, type=PATH, help="File to write.")
@click.option("--vocabulary", help="Vocabulary whose labels are written. Default: all.")
def export(file: Path, layout: str, out: Path, vocabulary: str | None) -> None:
    """Export annotations to another layout; print what it cannot represent."""
    from asl_kit.annotations.export import export as export_annotations
    from asl_kit.annotations.io import read_annotations
    from asl_kit.base.console import err

    for loss in export_annotations(read_annotations(file), out, layout=layout, vocabulary=vocabulary):
        err().print(f"left out, because {layout} cannot represent it: {loss}")
    err().print(f"wrote {out}")


@annotations.command()
def schema() -> None:
    """Print the JSON Schema of the format."""
    from asl_kit.annotations.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=1))
