"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from asl_evaluate.protocols import PROTOCOLS
from asl_kit.cli.output import REDIRECTION, stdout_to_stderr
from asl_kit.errors import UsageError

Record = TypeVar("Record")

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
"""A decorator that adds options to a command."""


def split_paths(text: str | None, option: str = "--features") -> list[Path]:
    """Return the paths of a comma-separated option; none if it is not given.

    Raises
    ------
    UsageError
        If one is empty.
    """
    parts = [] if text is None else [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{option} {text}: an empty path between commas")
    return [Path(part) for part in parts]


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
        help=f"Write {what} as JSON; '-': to stdout, and nothing else there.",
    )


def _redirect_stdout(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Keep everything but the JSON off stdout."""
    if value == "-" and not ctx.resilient_parsing and sys.stdout and sys.stderr:
        ctx.meta[REDIRECTION] = ctx.with_resource(ExitStack())
        ctx.meta[REDIRECTION].enter_context(stdout_to_stderr())
    return value


device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")

required_annotations = click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="Unified annotations (asl-kit convert).",
)

on_error = click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="Whether a video that fails is recorded and passed over, or ends the run.",
)

scoring = together(
    click.option("--split", metavar="NAME", help="Default: the dataset's evaluation split."),
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
    click.option("--vocabulary", metavar="NAME", help="Which labels to score, if the annotations have several."),
)
"""Options of `asl-kit eval`, `report`, `diagnose` and `compare`; named like the fields of `ScoringOptions`."""

protocol = click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    help="Default: the dataset's, else activitynet. "
    + "; ".join(f"{name}: {protocol.summary}" for name, protocol in PROTOCOLS.items())
    + ".",
)
"""As `scoring`, of `asl-kit eval` and `report`."""

video_scoring = together(
    click.option("--class-agnostic", is_flag=True, help="Treat all classes as one."),
    click.option(
        "--video-scores",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Name the classes by scores of whole videos, as ActionFormer does.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="Number of classes that each detection gets from --video-scores.",
    ),
)
"""As `scoring`, of `asl-kit eval`."""

bootstrap = together(
    click.option(
        "--resamples",
        type=int,
        default=1000,
        show_default=True,
        help="Number of bootstrap samples of the videos, for intervals and p-values.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds draw equal samples."),
    json_option("the result"),
)
"""Options of `asl-kit diagnose` and `compare`."""


def decoding(default_decoder: str) -> Option:
    """Return what adds the options of `asl-kit extract` and `asl-kit predict` on how videos are read and batched."""
    return together(
        click.option(
            "--decoder",
            type=click.Choice(["pyav", "torchcodec", "decord", "nvdec"]),
            help=f"Library that reads the videos; nvdec: the GPU does.  [default: {default_decoder}]",
        ),
        click.option(
            "--decoder-threads", type=click.IntRange(min=0), default=1, show_default=True, help="0: one a core."
        ),
        click.option("--batch-size", type=int, help="Clips per forward pass.  [default: by device and backbone]"),
        click.option(
            "--workers",
            type=click.IntRange(min=0),
            help="Processes that decode; 0: the main one.  [default: 1 on a CPU, cores - 1 up to 8 on a GPU]",
        ),
        click.option(
            "--time-limit",
            "time_limit_s",
            type=click.FloatRange(min=0, min_open=True),
            default=300.0,
            show_default=True,
            metavar="SECONDS",
            help="A video has failed when its decoder delivers nothing for so long."
            " With --workers 0 that is looked at between frames only, and a decoder that hangs is not ended.",
        ),
    )


_FOLDER = click.Path(path_type=Path, file_okay=False)

for_viewing = together(
    click.option("--subtitles", type=_FOLDER, metavar="DIR", help="Subtitles for any player, a file per video."),
    click.option(
        "--subtitle-format",
        type=click.Choice(["srt", "vtt"]),
        default="srt",
        show_default=True,
        help="Their format.",
    ),
    click.option("--edl", type=_FOLDER, metavar="DIR", help="Edit decision lists (CMX 3600), a file per video."),
    click.option("--clips", type=_FOLDER, metavar="DIR", help="Clips cut by ffmpeg, a file per detection."),
    click.option(
        "--max-clips",
        type=click.IntRange(min=1),
        metavar="N",
        help="Cut only the N clips with the highest scores, of all videos together. Default: all.",
    ),
    click.option(
        "--min-score",
        type=float,
        default=0.3,
        show_default=True,
        help="Lowest score in subtitles, edit decision lists and clips.",
    ),
)
"""Files that `asl-kit predict` and `render` write for people to look at, named like the fields of `ViewingFiles`."""
