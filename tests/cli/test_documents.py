"""Every `asl-kit` command in README, docs, generated pages, messages and docstrings exists, with its options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from helpers.site_tools import load_site_tool
from helpers.written_commands import (
    check_command,
    commands_in_code,
    find,
    full_commands,
    mentioned_commands,
    texts_of_package,
)

from asl_kit.errors import AslKitError

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = load_site_tool("dataset_pages").dataset_pages()
DOCUMENTS = [*(path.read_text(encoding="utf-8") for path in FILES), *PAGES.values()]


# Once each: pages repeat some.
FULL = list(dict.fromkeys(line for document in DOCUMENTS for line in full_commands(document)))
MENTIONED = list(dict.fromkeys(line for document in DOCUMENTS for line in mentioned_commands(document)))
IN_CODE = list(dict.fromkeys(line for source in texts_of_package(ROOT) for line in commands_in_code(source)))


def test_the_documents_hold_commands() -> None:
    assert len(FULL) > 10
    assert len(MENTIONED) > 2
    assert len(IN_CODE) > 50


@pytest.mark.parametrize("line", FULL)
def test_a_full_command_is_accepted(line: str) -> None:
    command, words = find(line)
    command.make_context(line, list(words))
    check_command(line)


@pytest.mark.parametrize("line", dict.fromkeys([*MENTIONED, *IN_CODE]))
def test_a_mentioned_command_exists(line: str) -> None:
    check_command(line)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            'hint = "make them with: asl-kit convert thumos SOURCE... -o FILE"',
            "asl-kit convert thumos SOURCE... -o FILE",
        ),
        ('hint = f"use `asl-kit extract {folder} " "--fast`"', "asl-kit extract X --fast"),
        ('hint = "written by asl-kit eval --senses FILE."', "asl-kit eval --senses FILE"),
        ('hint = "asl-kit submit --to hacs"', "asl-kit submit --to hacs"),
        ('hint = "`asl-kit transform csv`"', "asl-kit transform csv"),
        ('hint = "`asl-kit extract --backbone x4d`"', "asl-kit extract --backbone x4d"),
        ('hint = "`asl-kit import-features --preset hacs/none`"', "asl-kit import-features --preset hacs/none"),
    ],
)
def test_a_wrong_command_in_a_message_is_found(source: str, found: str) -> None:
    assert commands_in_code(source) == [found]
    with pytest.raises((AssertionError, click.UsageError, AslKitError)):
        check_command(found)
