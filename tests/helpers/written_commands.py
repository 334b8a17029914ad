"""The `asl-kit` commands that documents and messages mention, checked against the commands that exist."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from asl_extract.backbones import LIBRARIES, backbone_names
from asl_kit.annotations.conversion import find_converter
from asl_kit.cli import COMMANDS, main
from asl_kit.feature_import.presets import get_preset

PLACEHOLDER = "X"
"""Stands for a value that a message inserts."""

EXAMPLES = ("fieldnotes",)
"""Converters of the example packages of the documents."""

_IN_PROSE = re.compile(r"asl-kit ([a-z][a-z-]*)((?: --?[a-z][a-z-]*(?: [A-Z][A-Z/]*\b)?)*)")
_TO_END_OF_LINE = re.compile(r"(?:^|: )(asl-kit [a-z][^;|]*?)(?:\.?$|: |; |\|| \()", re.MULTILINE)


def full_commands(document: str) -> list[str]:
    """Return the `asl-kit` commands of the code blocks: complete, ready to run, without torchrun before them."""
    blocks = re.findall(r"```bash\n(.*?)```", document.replace("\\\n", ""), flags=re.DOTALL)
    lines = [part.strip() for block in blocks for line in block.splitlines() for part in line.split("&&")]
    lines = [re.sub(r"^.*\btorchrun .* -m asl_kit ", "asl-kit ", line) for line in lines]
    return [line for line in lines if line.startswith("asl-kit")]


def quoted_commands(text: str) -> list[str]:
    """Return the `asl-kit` commands in backquotes."""
    return re.findall(r"`(asl-kit [^`]+)`", text.replace("\n", " "))


def mentioned_commands(document: str) -> list[str]:
    """Return the `asl-kit` commands of the running text of a document: perhaps in parts."""
    return quoted_commands(re.sub(r"```.*?```", "", document, flags=re.DOTALL))


def commands_in_code(source: str) -> list[str]:
    """Return the `asl-kit` commands that the texts of a Python module mention, with `PLACEHOLDER` for inserted values.

    Outside backquotes, a command stands on a line of its own, after a colon, or is a name with its options.
    """
    found: list[str] = []
    for text in _texts(ast.parse(source)):
        found += quoted_commands(text)
        plain = re.sub(r"`[^`]*`", "", re.sub(r"^ +", "", text, flags=re.MULTILINE))
        found += [line for line in _TO_END_OF_LINE.findall(plain) if line.split()[1] in COMMANDS or " -" in line]
        for match in _IN_PROSE.finditer(_TO_END_OF_LINE.sub("", plain)):
            if match[1] in COMMANDS or match[2]:
                found.append(match[0])
    return found


def _texts(tree: ast.AST) -> Iterator[str]:
    """Yield every string of a syntax tree; adjacent literals are one string."""
    if isinstance(tree, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in tree.values)
        yield "".join(map(str, parts))
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.value
    for child in ast.iter_child_nodes(tree):
        yield from _texts(child)


def texts_of_package(root: Path) -> list[str]:
    """Return the source of every module of the packages of a repository."""
    folders = (root / "asl_kit", *(root / name / f"asl_{name}" for name in ("extract", "train", "evaluate")))
    return [path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.rglob("*.py"))]


def find(line: str) -> tuple[click.Command, list[str]]:
    """Return the command that a line calls, and its arguments."""
    command: click.Command | None = main
    words = [word for word in shlex.split(line)[1:] if word not in ("...", "--debug")]
    while isinstance(command, click.Group) and words:
        if words[0] == PLACEHOLDER:
            return main, []
        command, words = command.get_command(click.Context(command), words[0]), words[1:]
    assert command is not None, f"no such command: {line}"
    return command, words


def check_command(line: str) -> None:
    """Check that a command, perhaps in parts, and its options exist, and so do the names that it gives.

    Values in capitals stand for any value.
    """
    command, words = find(line)
    options = {option: item for item in command.params if isinstance(item, click.Option) for option in item.opts}
    if words and words[-1] in options and not options[words[-1]].is_flag:
        words = [*words, PLACEHOLDER]  # the option itself is mentioned: `asl-kit eval --json`
    parsed, _, _ = command.make_parser(click.Context(command)).parse_args(words)
    given = {name: value for name, value in parsed.items() if isinstance(value, str) and not value.isupper()}
    for item in command.params:
        if isinstance(item.type, click.Choice) and item.name in given:
            assert given[item.name] in item.type.choices, f"no such {item.name}: {line}"
    if command.name == "convert" and given.get("dataset", "") not in ("", *EXAMPLES):
        find_converter(given["dataset"])
    if "backbone" in given:
        name, colon, _ = given["backbone"].partition(":")
        assert name in (LIBRARIES if colon else backbone_names()), f"no such backbone: {line}"
    if "preset" in given:
        get_preset(given["preset"])
