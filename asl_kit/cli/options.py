"""What several commands' options share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from asl_kit.errors import UsageError


def split_paths(text: str, option: str = "--features") -> list[Path]:
    """Return the paths of a comma-separated option.

    Raises
    ------
    UsageError
        If one is empty.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{option} {text}: an empty path between commas")
    return [Path(part) for part in parts]


def resampled_task(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what `asl-kit diagnose` and `asl-kit compare` share: what to score, how often to draw the videos, --json."""
    options = [
        click.option(
            "--annotations",
            type=click.Path(path_type=Path),
            metavar="FILE",
            required=True,
            help="Unified annotations (asl-kit convert).",
        ),
        click.option("--split", metavar="NAME", help="Default: the dataset's evaluation split."),
        click.option("--tiou", metavar="LO:HI:STEP", help="tIoU thresholds. Default: the dataset's, else 0.3:0.7:0.1."),
        click.option(
            "--duplicates",
            type=click.Choice(["keep", "drop"]),
            default="keep",
            show_default=True,
            help="Duplicate ground truth and segments under 1 ms: keep, or drop (ActionFormer, OpenTAD).",
        ),
        click.option("--vocabulary", metavar="NAME", help="Which labels to score, where the annotations have several."),
        click.option(
            "--resamples",
            type=int,
            default=1000,
            show_default=True,
            help="How often the videos are drawn for intervals and p-values.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same videos."),
        click.option(
            "--json",
            "json_file",
            metavar="FILE",
            help="Write the result as JSON; '-': to stdout, and tables to stderr.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def decoding(default_decoder: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds the options of `asl-kit extract` and `asl-kit predict` on how videos are read and batched."""
    options = [
        click.option(
            "--decoder",
            type=click.Choice(["decord", "torchcodec", "pyav", "nvdec"]),
            help=f"Library that reads the videos; nvdec: the GPU does.  [default: {default_decoder}]",
        ),
        click.option(
            "--decoder-threads", type=click.IntRange(min=0), default=1, show_default=True, help="0: one a core."
        ),
        click.option("--batch-size", type=int, help="Clips per forward pass.  [default: by device and backbone]"),
        click.option(
            "--workers",
            type=click.IntRange(min=0),
            help="Processes that decode; 0: the main one.  [default: 0 on a CPU, cores - 1 up to 8 on a GPU]",
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
    ]

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def for_viewing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of what `asl-kit predict` writes for people to look at; named as the fields of `ViewingFiles`."""
    folder = click.Path(path_type=Path, file_okay=False)
    options = [
        click.option(
            "--report",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="A page (HTML) that plays each video beside its timeline.",
        ),
        click.option("--subtitles", type=folder, metavar="DIR", help="Subtitles for any player, a file a video."),
        click.option(
            "--subtitle-format",
            type=click.Choice(["srt", "vtt"]),
            default="srt",
            show_default=True,
            help="Their format.",
        ),
        click.option("--edl", type=folder, metavar="DIR", help="Edit decision lists (CMX 3600), a file a video."),
        click.option("--clips", type=folder, metavar="DIR", help="Clips cut by ffmpeg, a file a detection."),
        click.option(
            "--max-clips",
            type=click.IntRange(min=1),
            metavar="N",
            help="Cut the N surest of all videos together. Default: all.",
        ),
        click.option(
            "--min-score",
            type=float,
            default=0.3,
            show_default=True,
            help="The least score in subtitles, edit decision lists and clips.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
