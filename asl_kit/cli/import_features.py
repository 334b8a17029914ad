"""The command ``asl-kit import-features``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli.options import PATH, PathOrAddress, json_option, list_option, on_error

if TYPE_CHECKING:
    from asl_kit.remote.address import Address


@click.command("import-features")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("-o", "--out", "store", required=True, type=PathOrAddress(), metavar="PATH", help="The feature store.")
@click.option(
    "--annotations",
    type=PATH,
    help="Import only the videos in this file and use their durations and frame rates.",
)
@click.option("--preset", metavar="DATASET/NAME", help="A published feature set, instead of the next six options.")
@click.option("--window", "window_frames", type=int, help="Frames that one feature covers.")
@click.option("--stride", "stride_frames", type=int, help="Frames from one feature to the next.")
@click.option("--fps", type=float, help="Rate of these frames.  [default: from the annotations]")
@click.option("--offset-s", type=float, help="Time in seconds at which the first window starts.  [default: 0]")
@click.option("--resized", is_flag=True, help="The features were resized to a fixed length and span the whole video.")
@click.option("--dim", "dimension", type=click.IntRange(min=1), help="Values per feature.  [default: inferred]")
@click.option(
    "--layout", type=click.Choice(["time-first", "channels-first"]), help="(T, D) or (D, T).  [default: inferred]"
)
@click.option("--prefix", metavar="TEXT", help="Text before the video id in file names.")
@click.option("--suffix", metavar="TEXT", help="Text between the video id and the extension in file names.")
@click.option("--key", metavar="NAME", help="Array to read from files that hold several.")
@click.option("--name", metavar="TEXT", help="Name of these features in the store.  [default: the preset]")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Type of the stored features.",
)
@on_error
@click.option(
    "--replace-changed", is_flag=True, help="Import videos again whose files have changed since they were stored."
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Number of files processed at a time."
)
@json_option("the complete summary")
@list_option("--list-presets", "asl_kit.feature_import:presets_table", "all presets")
@click.pass_context
def import_features(
    ctx: click.Context,
    /,
    folder: Path,
    store: Path | Address,
    annotations: Path | None,
    on_error: str,
    replace_changed: bool,
    workers: int,
    json_path: str | None,
    **settings: Any,
) -> None:
    """Import features that you already have into a store.

    DIR holds one .npy, .npz, .pt, .h5 or .csv file per video, or is one .h5 file with a dataset
    per video. Run the same command again after an interruption: videos in the store are skipped.

    \b
    asl-kit import-features i3d/ -o features.zarr --annotations a.json --window 16 --stride 4
    """
    from asl_kit import feature_import
    from asl_kit.cli.output import print_results

    summary = feature_import.import_features(
        folder,
        store,
        feature_import.ImportSettings(**settings),
        annotations=annotations,
        on_error=on_error,
        replace_changed=replace_changed,
        workers=workers,
    )
    print_results(summary.to_text(), summary.to_json(), json_path)
    if summary.failed:
        ctx.exit(1)
