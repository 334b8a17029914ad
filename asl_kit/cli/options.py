"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from asl_evaluate.protocols import PROTOCOLS
from asl_kit.base.console import out
from asl_kit.cli.output import REDIRECTION, stdout_to_stderr
from asl_kit.errors import UsageError
from asl_kit.remote.address import Address, path_or_address, refuse_address

Record = TypeVar("Record")

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
"""A decorator that adds options to a command."""


class LocalPath(click.Path):
    """A path; an address is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        refuse_address(value)
        return super().convert(value, param, ctx)


PATH = LocalPath(path_type=Path)


class PathOrAddress(click.Path):
    """A path, or an address such as ``s3://bucket/features.zarr``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path or the address."""
        return path_or_address(value)


class _ListFile(click.File):
    """As `click.File`, which ends with a traceback if the standard input is closed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IO[Any]:
        if value == "-" and sys.stdin is None:
            self.fail("the standard input is closed", param, ctx)
        return super().convert(value, param, ctx)


def videos(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument VIDEO_OR_DIR and ``--list``, which are passed on as one list, `videos`."""

    @click.argument("videos", nargs=-1, metavar="[VIDEO_OR_DIR]...")
    @click.option(
        "--list",
        "listed",
        type=_ListFile(encoding="utf-8", errors="surrogateescape"),
        help="More videos: a file with one path or address per line; - for stdin.",
    )
    @wraps(command)
    def with_videos(*args: Any, videos: tuple[str, ...], listed: IO[str] | None, **others: Any) -> Any:
        named = [*videos, *(line for line in map(str.strip, listed or ()) if line)]
        if not named:
            raise click.UsageError("no videos: give files, folders or addresses, or --list FILE")
        return command(*args, videos=named, **others)

    return with_videos


def split_stores(text: str | None) -> list[Path | Address]:
    """Return the paths and addresses of ``--features``, which are separated by commas; raises as `split_paths`."""
    return [] if text is None else [path_or_address(part) for part in _split(text, "--features")]


def split_paths(text: str | None, option: str) -> list[Path]:
    """Return the paths of a comma-separated option; none if it is not given.

    Raises
    ------
    UsageError
        If one is empty or an address.
    """
    return [] if text is None else [PATH.convert(part, None, None) for part in _split(text, option)]


def _split(text: str, option: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{option} {text}: an empty path between commas")
    return parts


def make_record(record: type[Record], options: Mapping[str, Any]) -> Record:
    """Return a dataclass whose fields are the options of the same names; other options are ignored."""
    names = {field.name for field in fields(record)}  # type: ignore[arg-type]  # a dataclass
    return record(**{name: value for name, value in options.items() if name in names})


def together(*options: Option) -> Option:
    """Return a decorator that adds several options, in this order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def json_option(what: str) -> Option:
    """Return ``--json``, passed on as `json_path`, of a command whose result is `what`."""
    return click.option(
        "--json",
        "json_path",
        metavar="FILE",
        callback=_redirect_stdout,
        help=f"Write {what} as JSON; '-': to stdout, with nothing else.",
    )


def list_option(flag: str, table: str, what: str) -> Option:
    """Return a flag that prints a table and ends the command; ``module:function``, which returns it, is loaded then."""

    def print_table(ctx: click.Context, parameter: click.Parameter, is_given: bool) -> None:
        if is_given and not ctx.resilient_parsing:
            module, _, function = table.partition(":")
            out().print(getattr(import_module(module), function)())
            ctx.exit()

    return click.option(
        flag, is_flag=True, is_eager=True, expose_value=False, callback=print_table, help=f"List {what}, and exit."
    )


def _redirect_stdout(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Keep everything but the JSON off stdout; refuse an address."""
    refuse_address(value)
    if value == "-" and not ctx.resilient_parsing and sys.stdout and sys.stderr:
        ctx.meta[REDIRECTION] = ctx.with_resource(ExitStack())
        ctx.meta[REDIRECTION].enter_context(stdout_to_stderr())
    return value


def table(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--column`` and ``--encoding``, which are passed on as one `TableOptions`, `table`."""

    @click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="NAME=HEADER",
        help="In a table, take this column for video, start, end, label, ...; may be repeated. Without HEADER: none.",
    )
    @click.option("--encoding", metavar="NAME", help="Encoding of a table, such as cp1252. Default: UTF-8 or UTF-16.")
    @wraps(command)
    def with_table(*args: Any, columns: tuple[str, ...], encoding: str | None, **others: Any) -> Any:
        from asl_kit.annotations.tables import TableOptions

        return command(*args, table=TableOptions(_parse_columns(columns), encoding), **others)

    return with_table


def _parse_columns(texts: Iterable[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for text in texts:
        name, equals, header = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(f"--column {text}: expected NAME=HEADER", hint="for example --column label=Verhalten")
        if name in columns:
            raise UsageError(f"--column {name}: given twice, for {columns[name]!r} and {header!r}")
        columns[name] = header
    return columns


devices = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1; cuda:0,cuda:1: several; all: every GPU.",
)

device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")

image_fps = click.option(
    "--image-fps",
    type=click.FloatRange(min=0, min_open=True),
    metavar="FPS",
    help="Frame rate of videos that are folders or tars of images.  [default: the annotations']",
)


def _parse_point_window(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from asl_kit.annotations.point_window import PointWindow

    return None if value is None else PointWindow.parse(value)


point_window = click.option(
    "--point-window",
    metavar="BEFORE[,AFTER]",
    callback=_parse_point_window,
    help="For annotations that are points in time: seconds before and after each that make its segment.",
)


def checkpoints(*, required: bool) -> Option:
    """Return ``--checkpoint``, which may be given several times, and ``--fusion-weights``, as a list of numbers."""
    return together(
        click.option(
            "--checkpoint",
            type=PATH,
            metavar="FILE",
            multiple=True,
            required=required,
            help="A trained model (model.ckpt). Given several times: the models' outputs are averaged at each point.",
        ),
        weights("--fusion-weights", "Weight of each checkpoint in the average. Default: equal."),
    )


def weights(flag: str, text: str) -> Option:
    """Return an option that takes numbers between commas, one for each file; None if it is not given."""
    return click.option(flag, metavar="W,W", callback=_parse_weights, help=text)


def _parse_weights(ctx: click.Context, parameter: click.Parameter, text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text}: expected numbers and commas, such as 2,1", ctx, parameter) from None


required_annotations = click.option(
    "--annotations",
    type=PATH,
    metavar="FILE",
    required=True,
    help="Unified annotations (asl-kit convert).",
)

cache = together(
    click.option(
        "--cache",
        metavar="DIR",
        type=LocalPath(path_type=Path, file_okay=False),
        help="Where videos at addresses are kept while they are needed.  [default: in the folder for temporary files]",
    ),
    click.option(
        "--cache-size",
        "cache_size_gb",
        metavar="GB",
        type=click.FloatRange(min=0, min_open=True),
        default=20.0,
        show_default=True,
        help="Size of the videos that each process keeps there at most.",
    ),
)
"""Options of `asl-kit extract` and `predict`."""

on_error = click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="Skip and record videos that fail, or stop the run.",
)

scoring = together(
    click.option("--split", metavar="NAME[,NAME]", help="Default: the dataset's evaluation split."),
    click.option(
        "--tiou",
        metavar="LO:HI:STEP",
        help="tIoU thresholds. Default: the protocol's, else the dataset's, else 0.3:0.7:0.1.",
    ),
    click.option(
        "--duplicates",
        type=click.Choice(["keep", "drop"]),
        default="keep",
        show_default=True,
        help="Duplicate ground truth and segments under 1 ms: keep (official), or drop (ActionFormer, OpenTAD).",
    ),
    click.option("--vocabulary", metavar="NAME", help="Vocabulary to score, if the annotations have several."),
)
"""Options of `asl-kit eval`, `report`, `diagnose` and `compare`; named like the fields of `ScoringOptions`."""

protocol = together(
    click.option(
        "--protocol",
        metavar="NAME",
        help=f"Default: the dataset's, else activitynet. Built in: {', '.join(PROTOCOLS)}.",
    ),
    list_option(
        "--list-protocols",
        "asl_evaluate.protocols.listing:protocols_table",
        "all protocols, also those of other packages",
    ),
)
"""Like `scoring`, for `asl-kit eval` and `report`."""

video_scores = together(
    click.option(
        "--video-scores",
        type=PATH,
        metavar="FILE",
        help="Take the classes from scores of whole videos, as in ActionFormer: JSON, or UntrimmedNet's .npy.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="Number of classes that each detection gets from --video-scores.",
    ),
)
"""Options of `asl-kit eval` and `predict`, named like the fields of `ScoringOptions` and `PredictionOptions`."""

video_scoring = together(click.option("--class-agnostic", is_flag=True, help="Treat all classes as one."), video_scores)
"""Like `scoring`, for `asl-kit eval`."""

bootstrap = together(
    click.option(
        "--resamples",
        type=int,
        default=1000,
        show_default=True,
        help="Number of bootstrap samples of the videos, for intervals and p-values.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the samples."),
    json_option("the result"),
)
"""Options of `asl-kit diagnose` and `compare`."""


def decoding(default_decoder: str) -> Option:
    """Return the options of `asl-kit extract` and `asl-kit predict` for decoding and batches."""
    return together(
        click.option(
            "--decoder",
            type=click.Choice(["pyav", "torchcodec", "decord", "nvdec"]),
            help=f"Library that decodes the videos; nvdec: the GPU.  [default: {default_decoder}]",
        ),
        click.option(
            "--decoder-threads", type=click.IntRange(min=0), default=1, show_default=True, help="0: one per core."
        ),
        click.option("--batch-size", type=int, help="Clips per forward pass.  [default: by device and backbone]"),
        click.option(
            "--workers",
            type=click.IntRange(min=0),
            help="Decoder processes; 0: decode in the main process.  [default: 1 on a CPU, cores - 1 up to 8 on a GPU]",
        ),
        click.option(
            "--time-limit",
            "time_limit_s",
            type=click.FloatRange(min=0, min_open=True),
            default=300.0,
            show_default=True,
            metavar="SECONDS",
            help="A video fails if its decoder delivers nothing for this long."
            " With --workers 0 this is checked only between frames, and a decoder that hangs is not stopped.",
        ),
    )


_FOLDER = LocalPath(path_type=Path, file_okay=False)

for_viewing = together(
    click.option("--subtitles", type=_FOLDER, metavar="DIR", help="Write subtitles, one file per video."),
    click.option(
        "--subtitle-format",
        type=click.Choice(["srt", "vtt"]),
        default="srt",
        show_default=True,
        help="Format of the subtitles.",
    ),
    click.option(
        "--edl", type=_FOLDER, metavar="DIR", help="Write edit decision lists (CMX 3600), one file per video."
    ),
    click.option("--clips", type=_FOLDER, metavar="DIR", help="Cut clips with ffmpeg, one file per detection."),
    click.option(
        "--max-clips",
        type=click.IntRange(min=1),
        metavar="N",
        help="Cut only the N clips with the highest scores over all videos. Default: all.",
    ),
    click.option(
        "--min-score",
        type=float,
        default=0.3,
        show_default=True,
        help="Minimum score in subtitles, edit decision lists and clips.",
    ),
)
"""Options of `asl-kit predict` and `render`, named like the fields of `ViewingFiles`."""
