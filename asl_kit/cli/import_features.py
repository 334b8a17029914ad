"""`asl-kit import-features`: options only; the work is `asl_kit.feature_import.import_features`."""

from __future__ import annotations

from pathlib import Path

import click

from asl_kit.cli.options import on_error


def _print_presets(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from rich.table import Table

    from asl_kit.base.console import out
    from asl_kit.feature_import import list_presets

    table = Table(title="Feature sets that --preset knows")
    for column in ("preset", "values", "window", "stride", "fps", "offset s", "file name"):
        table.add_column(column, justify="left" if column in ("preset", "file name") else "right", no_wrap=True)
    table.add_column("what")
    for name, features in list_presets().items():
        table.add_row(
            name,
            str(features.dimensions),
            str(features.window_frames),
            str(features.stride_frames),
            "own" if features.fps is None else f"{features.fps:g}",
            f"{features.offset_s:g}",
            f"{features.prefix}ID{features.suffix}",
            features.title + (f" (resized to {features.resized_to})" if features.resized_to else ""),
        )
    out().print(table)
    ctx.exit()


@click.command("import-features")
@click.argument("place", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-o", "--out", "store", required=True, type=click.Path(path_type=Path), help="The feature store.")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="Import the videos that this file lists; their durations and frame rates are used.",
)
@click.option("--preset", metavar="DATASET/NAME", help="A published feature set, instead of the next six options.")
@click.option("--window", "window_frames", type=int, help="Frames that a feature looks at.")
@click.option("--stride", "stride_frames", type=int, help="Frames from one feature to the next.")
@click.option("--fps", type=float, help="Rate of these frames.  [default: each video's, from the annotations]")
@click.option("--offset-s", type=float, help="Time in seconds at which the first window starts.  [default: 0]")
@click.option("--resized", is_flag=True, help="Resized to a fixed length: they reach from a video's begin to its end.")
@click.option("--dim", "dimension", type=click.IntRange(min=1), help="Values per feature.  [default: found out]")
@click.option(
    "--layout", type=click.Choice(["time-first", "channels-first"]), help="(T, D) or (D, T).  [default: found out]"
)
@click.option("--prefix", metavar="TEXT", help="What file names have before the video's id.")
@click.option("--suffix", metavar="TEXT", help="What file names have between the video's id and the extension.")
@click.option("--key", metavar="NAME", help="Array to take from files that hold several.")
@click.option("--name", metavar="TEXT", help="What these features are called in the store.  [default: the preset]")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Type of the stored features.",
)
@on_error
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Files worked on at once.")
@click.option("--report", "report_path", metavar="FILE", help="Write all lists, whole, as JSON; - for stdout.")
@click.option(
    "--list-presets", is_flag=True, is_eager=True, expose_value=False, callback=_print_presets, help="Show all presets."
)
@click.pass_context
def import_features(ctx: click.Context, /, report_path: str | None, **options: object) -> None:
    """Bring features that you already have into a store.

    DIR holds .npy, .npz, .pt, .h5 or .csv files, one for each video, or is one .h5 file with a dataset
    for each. Run again after an interruption: videos that the store holds are skipped.

    \b
    asl-kit import-features i3d/ -o features.zarr --annotations a.json --window 16 --stride 4
    """
    from asl_kit.cli.output import print_results
    from asl_kit.feature_import import import_features as run

    summary = run(**options)  # type: ignore[arg-type]  # click has checked the types
    print_results(summary.to_text(), summary.to_json(), report_path)
    if summary.failed:
        ctx.exit(1)
