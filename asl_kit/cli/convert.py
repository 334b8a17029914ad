"""The command ``asl-kit convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH


@click.command()
@click.argument("dataset")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Annotation file to write.")
@click.option(
    "--videos",
    type=PATH,
    metavar="DIR",
    help="Take durations from the video files in this folder, and refuse segments that end later.",
)
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    metavar="TIER[=VOCABULARY]",
    help="Convert only this tier, track or column of an annotation tool; may be repeated.",
)
@options.table
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames per second, for annotations that count frames and do not state it.",
)
@options.point_window
@options.image_fps
@options.json_option("the whole report")
@click.option(
    "--strict", is_flag=True, help="Fail, and write no annotations, if a count differs from the published one."
)
@options.list_option("--list", "asl_kit.annotations.conversion:datasets_table", "all datasets")
def convert(
    dataset: str,
    sources: tuple[Path, ...],
    out: Path,
    videos: Path | None,
    tiers: tuple[str, ...],
    image_fps: float | None,
    json_path: str | None,
    strict: bool,
    **stated: Any,
) -> None:
    """Convert a dataset's annotations to the unified format.

    \b
    DATASET is csv or activitynet-json for your own data; the name of an annotation tool,
    such as elan, for its files; or a published dataset: `asl-kit convert --list`.
    SOURCE... are the files or folders as published.

    \b
    asl-kit convert csv segments.csv -o annotations.json
    with the columns video,start,end,label[,split,duration,fps,path], or common words for them
    asl-kit convert csv excel.csv -o annotations.json --column label=Verhalten --encoding cp1252
    """
    from asl_kit.annotations.conversion import read_sources, refuse_to_replace
    from asl_kit.annotations.io import write_annotations
    from asl_kit.annotations.tiers import TierOptions
    from asl_kit.base.console import err
    from asl_kit.base.console import out as stdout
    from asl_kit.cli.output import write_json

    refuse_to_replace(sources, out, json_path)
    annotations, report = read_sources(dataset, sources, tiers=TierOptions.parse(tiers), **stated)
    if videos is not None:
        from asl_kit.own_data.video_headers import use_video_files

        annotations = use_video_files(
            annotations, report, videos, source=", ".join(map(str, sources)), image_fps=image_fps
        )
    elif annotations.source.converter == "csv":
        from asl_kit.own_data.video_headers import use_stated_files

        annotations = use_stated_files(annotations, report, sources)
    if json_path is not None:
        write_json(report.to_json(), json_path)
    if strict:
        report.check_differences()
    write_annotations(annotations, out)
    if json_path != "-":
        report.print(stdout())
    err().print(f"wrote {out}")
