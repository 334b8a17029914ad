"""The command ``asl-kit extract``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli.options import (
    PATH,
    PathOrAddress,
    cache,
    decoding,
    devices,
    image_fps,
    json_option,
    list_option,
    make_record,
    on_error,
    videos,
)
from asl_kit.cli.output import print_results

if TYPE_CHECKING:
    from asl_kit.remote.address import Address


@click.command()
@videos
@click.option("-o", "--out", "store", required=True, type=PathOrAddress(), metavar="PATH", help="The feature store.")
@click.option(
    "--backbone", help="Network that makes the features; also hf:MODEL_OR_FOLDER (transformers) and timm:MODEL."
)
@click.option(
    "--preset", metavar="DATASET/NAME", help="Use the backbone, window, stride and fps of a published feature set."
)
@click.option("--like", metavar="STORE", type=PathOrAddress(), help="Use all settings of another store.")
@click.option(
    "--weights",
    metavar="default|random|FILE",
    help="Weights: the publisher's, downloaded; random with a fixed seed; or a state dict.  [default: default]",
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "class", "pooler"]),
    help="Make the feature of an hf: backbone of its patch tokens, its class token or its pooler.",
)
@click.option("--window", "window_frames", type=int, help="Frames that one feature covers.  [default: the backbone's]")
@click.option(
    "--stride", "stride_frames", type=int, help="Frames from one feature to the next.  [default: the backbone's]"
)
@click.option("--fps", type=float, help="Resample videos to this frame rate.  [default: each video's own]")
@click.option(
    "--size", "frame_size", type=int, help="Height and width of the input in pixels.  [default: the backbone's]"
)
@click.option(
    "--flow",
    type=click.Choice(["raft_large", "raft_small", "tvl1", "images"]),
    help="Optical flow method, for backbones that take optical flow; images: the videos are images of it.",
)
@click.option(
    "--flow-weights",
    metavar="default|random|FILE",
    help="Weights of RAFT: torchvision's, downloaded; random; or a state dict.  [default: default]",
)
@click.option("--annotations", type=PATH, help="Extract only the videos that this file lists.")
@image_fps
@click.option("--shard", metavar="I/N", help="Extract only part I of N of the videos, with I from 1 to N.")
@devices
@click.option(
    "--ray", metavar="ADDRESS|local", help="Use a Ray cluster, with one actor per GPU, or per node without a GPU."
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    help="Precision of the backbone.  [default: float32 on a CPU, half precision on a GPU]",
)
@decoding("pyav")
@cache
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    help="Type of the stored features.  [default: float16]",
)
@on_error
@click.option(
    "--retry-failed", is_flag=True, help="Retry videos that failed before, even if their files have not changed."
)
@click.option(
    "--replace-changed", is_flag=True, help="Extract videos again whose files have changed since they were stored."
)
@json_option("the summary")
@list_option("--list-backbones", "asl_extract.backbones.listing:backbones_table", "all backbones")
@list_option("--list-presets", "asl_extract.presets:presets_table", "all presets")
@click.pass_context
def extract(
    ctx: click.Context,
    /,
    videos: list[str],
    store: Path | Address,
    annotations: Path | None,
    image_fps: float | None,
    json_path: str | None,
    **options: Any,
) -> None:
    """Extract features from videos into a store.

    A video's id is its file name without the suffix. A folder or a tar of numbered images
    is a video too, with the folder's or the tar's name. Videos at addresses (https://,
    s3://, gs://; s3://bucket/folder/ for all in it) are fetched one by one. Run the same command again after an
    interruption: videos in the store are skipped. Videos that failed before are also
    skipped, unless their files have changed: see --retry-failed. A stored video whose
    file has changed is an error: see --replace-changed.

    \b
    asl-kit extract videos/ -o features/ --backbone x3d_xs --window 16 --stride 4
    """
    from asl_extract.extraction import extract_videos
    from asl_extract.settings import ExtractionSettings, RunOptions

    settings, run_options = make_record(ExtractionSettings, options), make_record(RunOptions, options)
    summary = extract_videos(videos, store, settings, run_options, annotations=annotations, image_fps=image_fps)
    print_results(summary.to_text(), summary.to_json(), json_path)
    if summary.failed or summary.failed_before:
        ctx.exit(1)
