"""The page of all commands, generated from click."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator

import click

from asl_kit.cli import main


def command_page() -> str:
    """Return the page: each command with its usage, help and options."""
    lines = [
        "# Commands",
        "",
        "The `--help` of every command. Exit codes: 0 success, 1 failure (also of a part), 2 wrong usage,",
        "130 interrupted.",
        "",
    ]
    for context in _commands(click.Context(main, info_name="asl-kit")):
        lines += _section(context)
    return "\n".join(lines) + "\n"


def _commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from _commands(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> list[str]:
    command = context.command
    level = "##" if context.parent is None or context.parent.parent is None else "###"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [
        f"{level} {context.command_path}",
        "",
        "```text",
        usage,
        "```",
        "",
        *_help(inspect.cleandoc(command.help or "")),
        "",
    ]
    records = (parameter.get_help_record(context) for parameter in command.params)  # without --help
    options = [record for record in records if record and record[1]]  # arguments are in the usage
    if options:
        lines += ["| option | what it does |", "|---|---|"]
        lines += [f"| {_code(names)} | {_cell(text)} |" for names, text in options]
    return [*lines, ""]


def _help(text: str) -> list[str]:
    r"""Return a command's help as Markdown; blocks that `\b` marks keep their lines."""
    lines = []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            lines += ["```text", *paragraph.splitlines()[1:], "```", ""]
        else:
            lines += [_cell(paragraph), ""]
    return lines


def _code(text: str) -> str:
    return "<code>" + html.escape(text).replace("|", "&#124;<wbr>") + "</code>"


def _cell(text: str) -> str:
    """Return text as one line of Markdown in which only code is markup."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        _code(part[1:-1])
        if part.startswith("`")
        else re.sub(r"([\\*_\[\]|<>])", r"\\\1", html.escape(part, quote=False))
        for part in parts
    )
