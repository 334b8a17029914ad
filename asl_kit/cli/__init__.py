"""The command line: a lazy group, a module per command, and one place that handles errors.

A command's module defines its options and calls a public function. It is imported only
when the command runs or prints its help.
"""

from __future__ import annotations

import importlib
import io
import sys
import traceback
from typing import Any

import click

from asl_kit import __version__
from asl_kit.errors import AslKitError

COMMANDS = {
    "annotations": ("asl_kit.cli.annotations:annotations", "Check, describe and export annotation files."),
    "check": ("asl_kit.cli.check:check", "Check predictions for wrong units, video ids and labels."),
    "compare": ("asl_kit.cli.compare:compare", "Test whether predictions B are better than predictions A."),
    "convert": ("asl_kit.cli.convert:convert", "Convert a dataset's annotations to the unified format."),
    "demo": ("asl_kit.cli.demo:demo", "Make small videos and run every step on them."),
    "diagnose": ("asl_kit.cli.diagnose:diagnose", "Show why a score is what it is."),
    "doctor": ("asl_kit.cli.doctor:doctor", "Check this machine and the installation."),
    "eval": ("asl_kit.cli.eval:evaluate", "Score a predictions file, or a checkpoint on stored features."),
    "extract": ("asl_kit.cli.extract:extract", "Extract features from videos into a store."),
    "fuse": ("asl_kit.cli.fuse:fuse", "Fuse the detections of several models, or of other tools, into one file."),
    "import-checkpoint": (
        "asl_kit.cli.import_checkpoint:import_checkpoint",
        "Convert a checkpoint that ActionFormer or TriDet trained.",
    ),
    "import-features": (
        "asl_kit.cli.import_features:import_features",
        "Import features that you already have into a store.",
    ),
    "init": ("asl_kit.cli.init:init", "Survey your own videos and annotations, and propose how to train on them."),
    "predict": ("asl_kit.cli.predict:predict", "Find actions in new videos."),
    "render": ("asl_kit.cli.render:render", "Write subtitles, edit decision lists and clips of detections."),
    "report": ("asl_kit.cli.report:report", "Write scores, errors and timelines as one HTML page."),
    "store": ("asl_kit.cli.store:store", "Inspect and verify a feature store."),
    "study": ("asl_kit.cli.study:study", "Train variants on the same sets and seeds, and compare them."),
    "submit": ("asl_kit.cli.submit:submit", "Write predictions in the format that a benchmark's server accepts."),
    "train": ("asl_kit.cli.train:train", "Train a model from annotations and features."),
}


class LazyGroup(click.Group):
    """A group that imports its commands on first use and turns errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all command names, sorted, without importing the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from `COMMANDS`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print an error as one message with its hint, and exit with its code.

        This includes `OSError`: a folder without write permission and a full disk are not bugs.
        """
        if isinstance(sys.stdout, io.TextIOWrapper):  # not every locale can encode every name; stderr is like this
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except AslKitError as error:
            _print_error(ctx, error.message, error.hint)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            raise  # click exits silently when the reader of a pipe has closed it
        except OSError as error:
            _print_error(ctx, f"{error.filename}: {error.strerror}" if error.filename else str(error), None)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to continue", err=True)
            ctx.exit(130)


def _print_error(ctx: click.Context, message: str, hint: str | None) -> None:
    if ctx.params.get("debug"):
        traceback.print_exc()
    from asl_kit.base.console import escape_control_characters

    click.echo(escape_control_characters(f"error: {message}"), err=True)
    if hint:
        click.echo(escape_control_characters(f"hint: {hint}"), err=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of errors.")
@click.version_option(__version__, prog_name="asl-kit")
def main(debug: bool) -> None:
    """From raw video to temporal action detections.

    \b
    convert -> extract -> train -> eval, and predict on new videos.
    Try it: asl-kit demo
    """


if __name__ == "__main__":
    sys.exit(main())
