"""``asl-kit extract``: options for `asl_extract.extraction.extract_videos`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from asl_kit.base.console import out
from asl_kit.cli.options import Option, decoding, json_option, make_record, on_error
from asl_kit.cli.output import print_results


def _list_option(name: str, table: str) -> Option:
    """Return an option that prints a table, made by ``module:function``, and ends the command."""

    def print_table(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            module, _, function = table.partition(":")
            out().print(getattr(import_module(module), function)())
            ctx.exit()

    return click.option(
        name, is_flag=True, is_eager=True, expose_value=False, callback=print_table, help="Show them all."
    )


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="VIDEO_OR_DIR...")
@click.option("-o", "--out", "store", required=True, type=click.Path(path_type=Path), help="The feature store.")
@click.option("--backbone", help="Network that makes the features.")
@click.option("--preset", metavar="DATASET/NAME", help="Backbone, window, stride and fps of a published feature set.")
@click.option("--like", metavar="STORE", type=click.Path(path_type=Path), help="All settings, those of another store.")
@click.option(
    "--weights",
    metavar="default|random|FILE",
    help="The publisher's, downloaded; untrained, the same on every run; or a state dict.  [default: default]",
)
@click.option("--window", "window_frames", type=int, help="Frames that a feature looks at.  [default: the backbone's]")
@click.option(
    "--stride", "stride_frames", type=int, help="Frames from one feature to the next.  [default: the backbone's]"
)
@click.option("--fps", type=float, help="Resample videos to this frame rate.  [default: each video's own]")
@click.option(
    "--size", "frame_size", type=int, help="Height and width of the input in pixels.  [default: the backbone's]"
)
@click.option(
    "--flow",
    type=click.Choice(["raft_large", "raft_small", "tvl1"]),
    help="Method of the optical flow, for a backbone that looks at flow.",
)
@click.option(
    "--flow-weights",
    metavar="default|random|FILE",
    help="Weights of RAFT: torchvision's, downloaded; untrained; or a state dict.  [default: default]",
)
@click.option("--annotations", type=click.Path(path_type=Path), help="Extract only the videos that this file lists.")
@click.option("--shard", metavar="I/N", help="Extract the I-th of N parts of the videos, I from 1.")
@click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1; several: cuda:0,cuda:1, or all."
)
@click.option("--ray", metavar="ADDRESS|local", help="Work on a Ray cluster: one actor a GPU, or a node without one.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    help="Arithmetic of the backbone.  [default: float32 on a CPU, half precision on a GPU]",
)
@decoding("pyav")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    help="Type of the stored features.  [default: float16]",
)
@on_error
@click.option(
    "--retry-failed", is_flag=True, help="Try videos again that failed before and whose files have not changed."
)
@click.option(
    "--replace-changed", is_flag=True, help="Extract videos again whose files have changed since they were stored."
)
@json_option("the summary")
@_list_option("--list-backbones", "asl_extract.backbones.listing:backbones_table")
@_list_option("--list-presets", "asl_extract.presets:presets_table")
@click.pass_context
def extract(
    ctx: click.Context,
    /,
    videos: tuple[Path, ...],
    store: Path,
    annotations: Path | None,
    json_path: str | None,
    **options: Any,
) -> None:
    """Extract features from videos into a store.

    A video's id is its file name without the suffix. Run the same command again after an
    interruption: videos that the store holds are skipped. Those that failed
    are skipped too, unless their files have changed: see --retry-failed. A stored
    video whose file has changed is an error: see --replace-changed.

    \b
    asl-kit extract videos/ -o features/ --backbone x3d_xs --window 16 --stride 4
    """
    from asl_extract.extraction import extract_videos
    from asl_extract.settings import ExtractionSettings, RunOptions

    settings, run_options = make_record(ExtractionSettings, options), make_record(RunOptions, options)
    summary = extract_videos(videos, store, settings, run_options, annotations=annotations)
    print_results(summary.to_text(), summary.to_json(), json_path)
    if summary.failed or summary.failed_before:
        ctx.exit(1)
