"""`asl-kit annotations`: check, describe and export annotation files."""

import json
from pathlib import Path

import click

FILE = click.argument("file", type=click.Path(path_type=Path))
JSON_OPTION = click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the result here as JSON; - is stdout.",
)


@click.group()
def annotations() -> None:
    """Check, describe and export annotation files."""


@annotations.command()
@FILE
@JSON_OPTION
def validate(file: Path, json_path: Path | None) -> None:
    """Check an annotation file; list every fault with its video and field."""
    from asl_kit.annotations.io import find_faults, read_annotations
    from asl_kit.cli.output import write_json
    from asl_kit.progress import out

    if json_path is not None:
        faults = find_faults(file)
        write_json({"file": str(file), "valid": not faults, "faults": faults}, str(json_path))
    checked = read_annotations(file)
    segments = sum(len(video.segments or ()) for video in checked.videos.values())
    if str(json_path) != "-":
        out().print(f"{file}: valid: {len(checked.videos)} videos, {segments} segments", markup=False)


@annotations.command()
@FILE
@JSON_OPTION
def stats(file: Path, json_path: Path | None) -> None:
    """Count videos, segments and classes; describe durations and overlaps."""
    from asl_kit.annotations.io import read_annotations
    from asl_kit.annotations.statistics import describe
    from asl_kit.cli.output import write_json
    from asl_kit.progress import out

    statistics = describe(read_annotations(file))
    if json_path is not None:
        write_json(statistics.to_json(), str(json_path))
    if str(json_path) != "-":
        statistics.print(out())


@annotations.command()
@FILE
@click.option("--to", "layout", required=True, type=click.Choice(["activitynet", "csv"]), help="Layout to write.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--vocabulary", help="Whose labels to write, if there are several vocabularies.")
def export(file: Path, layout: str, output: Path, vocabulary: str | None) -> None:
    """Write annotations in another layout; say what it cannot hold."""
    from asl_kit.annotations.export import export as export_annotations
    from asl_kit.annotations.io import read_annotations
    from asl_kit.progress import err

    for loss in export_annotations(read_annotations(file), output, layout=layout, vocabulary=vocabulary):
        err().print(f"left out, as {layout} cannot hold it: {loss}", markup=False)
    err().print(f"wrote {output}", markup=False)


@annotations.command()
def schema() -> None:
    """Print the JSON Schema of the format."""
    from asl_kit.annotations.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=1))
