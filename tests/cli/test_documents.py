"""Every `asl-kit` command in README, in docs and on the generated pages exists, with its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from helpers.site_tools import load_site_tool

from asl_kit.cli import main

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = load_site_tool("dataset_pages").dataset_pages()
DOCUMENTS = [*(path.read_text(encoding="utf-8") for path in FILES), *PAGES.values()]


def full_commands(document: str) -> list[str]:
    """Return the `asl-kit` commands of the code blocks: complete, ready to run."""
    blocks = re.findall(r"```bash\n(.*?)```", document, flags=re.DOTALL)
    lines = [part.strip() for block in blocks for line in block.splitlines() for part in line.split("&&")]
    return [line for line in lines if line.startswith("asl-kit")]


def mentioned_commands(document: str) -> list[str]:
    """Return the `asl-kit` commands of the running text: perhaps in parts."""
    text = re.sub(r"```.*?```", "", document, flags=re.DOTALL)
    return re.findall(r"`(asl-kit [^`]+)`", text.replace("\n", " "))


def find(line: str) -> tuple[click.Command, list[str]]:
    command: click.Command | None = main
    words = [word for word in shlex.split(line)[1:] if word != "..."]
    while isinstance(command, click.Group) and words:
        command, words = command.get_command(click.Context(command), words[0]), words[1:]
    assert command is not None, f"no such command: {line}"
    return command, words


# Once each: pages repeat some.
FULL = list(dict.fromkeys(line for document in DOCUMENTS for line in full_commands(document)))
MENTIONED = list(dict.fromkeys(line for document in DOCUMENTS for line in mentioned_commands(document)))


def test_the_documents_hold_commands() -> None:
    assert len(FULL) > 10
    assert len(MENTIONED) > 2


@pytest.mark.parametrize("line", FULL)
def test_a_full_command_is_accepted(line: str) -> None:
    command, words = find(line)
    command.make_context(line, words)


@pytest.mark.parametrize("line", MENTIONED)
def test_a_mentioned_commands_options_exist(line: str) -> None:
    command, words = find(line)
    command.make_parser(click.Context(command)).parse_args(words)
