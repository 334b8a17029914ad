"""The frame of the command line: help, exit codes, the one boundary for errors."""

from __future__ import annotations

from importlib import import_module

import click
import pytest
from helpers.command_line import run

from asl_kit import errors
from asl_kit.cli import COMMANDS
from asl_kit.cli.options import LocalPath, PathOrAddress

TARGETS = [target.split(":") for target, _ in COMMANDS.values()]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]], ids=" ".join
)
def test_help(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert result.output


def test_the_summary_in_the_list_is_the_commands_own_first_line() -> None:
    for (module, attribute), (name, (_, summary)) in zip(TARGETS, COMMANDS.items(), strict=True):
        command = getattr(import_module(module), attribute)
        assert command.get_short_help_str(limit=200) == summary, name


def test_unknown_command() -> None:
    result = run("nosuch")
    assert result.exit_code == 2
    assert "No such command 'nosuch'" in result.output


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "--debug"])
def test_an_error_is_one_message_with_a_hint(debug: bool) -> None:
    arguments = ["annotations", "validate", "absent.json"]
    result = run(*["--debug"] * debug, *arguments)
    assert result.exit_code == 2
    assert ("Traceback" in result.output) == debug
    assert "error: absent.json: no such file" in result.output


def test_every_error_has_a_documented_exit_code() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) > 10
    for error in classes:
        assert issubclass(error, errors.AslKitError)
        assert error.exit_code in (1, 2)
        assert error.__doc__
        assert str(error("found this", hint="do that")) == "found this"


def test_every_path_is_local_or_may_be_an_address() -> None:
    """None is taken for a folder ``s3:`` here."""
    commands = [getattr(import_module(module), name) for module, name in TARGETS]
    for command in commands:
        commands += getattr(command, "commands", {}).values()  # those of a group
    kinds = {type(parameter.type) for command in commands for parameter in command.params}
    assert {kind for kind in kinds if issubclass(kind, click.Path)} == {LocalPath, PathOrAddress}


@pytest.mark.parametrize("option", ["--out", "--csv", "--json", "--checkpoint"])
def test_an_address_where_a_path_is_expected(option: str) -> None:
    result = run("eval", "--annotations", "a.json", "--features", "f", option, "https://me:secret@host/a?key=secret")
    assert result.exit_code == 2
    assert "error: https://host/a: an address, where a path is expected" in result.stderr
    assert "secret" not in result.output
