"""The frame of the command line: help, exit codes, the one boundary for errors."""

from __future__ import annotations

import pytest
from helpers.command_line import run

from asl_kit import errors
from asl_kit.cli import COMMANDS


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]], ids=" ".join
)
def test_help(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert result.output


def test_the_summary_in_the_list_is_the_commands_own_first_line() -> None:
    import importlib

    for name, (target, summary) in COMMANDS.items():
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
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
