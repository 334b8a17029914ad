"""`asl-kit convert`."""

from __future__ import annotations

from pathlib import Path

import click


def _list_datasets(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from asl_kit.annotations.conversion import datasets_table
        from asl_kit.base.console import out

        out().print(datasets_table())
        ctx.exit()


@click.command()
@click.argument("dataset")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Annotation file to write.")
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="Write the whole report here, as JSON.")
@click.option("--strict", is_flag=True, help="Fail, and write nothing, if a count differs from the published one.")
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_datasets, help="List all datasets."
)
def convert(dataset: str, sources: tuple[Path, ...], out: Path, report_path: Path | None, strict: bool) -> None:
    """Convert a dataset's annotations to the unified format.

    \b
    DATASET is csv or activitynet-json for your own data; elan, via or label-studio for
    what these tools export; or a published dataset: `asl-kit convert --list`.
    SOURCE... are the files or folders as published.

    \b
    asl-kit convert csv segments.csv -o annotations.json
    with the columns video,start,end,label[,split,duration,fps,path]
    """
    from asl_kit.annotations.conversion import convert as convert_dataset
    from asl_kit.base.console import err
    from asl_kit.base.console import out as stdout

    report = convert_dataset(dataset, sources, out, report_path=report_path, strict=strict)
    report.print(stdout())
    err().print(f"wrote {out}")
