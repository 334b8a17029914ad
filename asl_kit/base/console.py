"""Consoles and progress: a bar on a terminal, plain lines elsewhere.

Results go to stdout, and messages and progress to stderr, so that ``--json`` output can be piped.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

PLAIN_INTERVAL_S = 10.0
PLAIN_WIDTH = 160
"""Width of text that is written to a file or a pipe, so that table columns are not cut; COLUMNS overrides it."""
READABLE_WIDTH = 24
"""Least width of a table column whose text is wrapped."""


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move the cursor, change colours, titles or the direction of writing, or cannot be encoded."""

_silent = False


def escape_control_characters(text: str) -> str:
    r"""Return a text with its control characters, except tab and line feed, as escape sequences.

    Names in files of others could otherwise control the terminal.

    Examples
    --------
    >>> escape_control_characters("v\x1b[2J")
    'v\\x1b[2J'
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


class _PlainConsole(Console):
    """A console without markup that escapes control characters, and stacks tables that are too wide for it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, soft_wrap=True, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text to print; rich calls this for every text, including cells of tables."""
        return super().render_str(escape_control_characters(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; a table that is too wide is printed as a block for each row."""
        fitting = (
            _stacked(item) if isinstance(item, Table) and _table_width(item) > self.width else item for item in objects
        )
        super().print(*fitting, **options)


def _table_width(table: Table) -> int:
    """Return the least width at which a table can be read."""
    width = 1
    for column in table.columns:
        longest = max(cell_len(line) for cell in (column.header, *column.cells) for line in f"{cell}\n".split("\n"))
        width += 3 + (longest if column.no_wrap else min(longest, READABLE_WIDTH))
    return width


def _stacked(table: Table) -> Table:
    """Return a table of one column: for each row a name, and a line ``column: value`` for each other cell."""
    stack = Table.grid()
    stack.title, stack.title_justify = table.title, table.title_justify
    stack.caption, stack.caption_justify = table.caption, table.caption_justify
    stack.add_column(overflow="fold")
    headers = [f"{column.header}: " if column.header and table.show_header else "" for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        named = [(header, _as_text(cell)) for header, cell in zip(headers, row, strict=True) if str(cell)]
        for number, (header, cell) in enumerate(named):
            stack.add_row(Padding(Text.assemble(header, cell), (0, 0, 0, 4)) if number else cell)
    return stack


def _as_text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text(escape_control_characters(str(cell)))


def silence() -> None:
    """Print no more messages and progress in this process, because another process prints them."""
    global _silent
    _silent = True


def out() -> Console:
    """Return a new console for results (stdout), which follows redirection."""
    console = _PlainConsole()
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        console.width = PLAIN_WIDTH
    return console


def err() -> Console:
    """Return a new console for messages and progress (stderr)."""
    return _PlainConsole(stderr=True, quiet=_silent)


def warn(console: Console, text: str, *, what: str = "warning") -> None:
    """Print a warning, with its first word in colour."""
    console.print(Text.assemble((f"{what}: ", "yellow"), escape_control_characters(text)))


class ProgressBar(Protocol):
    """Shows the progress of some work."""

    def advance(self, amount: float = 1.0) -> None:
        """Count `amount` more units as done."""

    def expect(self, total: float) -> None:
        """Change the total number of units."""

    def note(self, text: str) -> None:
        """Show a short text next to the bar: a rate, a loss, a file name."""

    def message(self, text: str) -> None:
        """Print a line above the bar."""


class _RichBar:
    def __init__(self, progress: Progress, description: str, total: float | None) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")

    def advance(self, amount: float = 1.0) -> None:
        self._progress.advance(self._task, amount)

    def expect(self, total: float) -> None:
        self._progress.update(self._task, total=total)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=escape_control_characters(text))

    def message(self, text: str) -> None:
        self._progress.console.print(text)


def _number(value: float) -> str:
    """Return a number with at most one decimal, and without an exponent."""
    return f"{value:.1f}".removesuffix(".0")


class _PlainLines:
    def __init__(self, console: Console, description: str, total: float | None) -> None:
        self._console = console
        self._description = description
        self._total = total
        self._done = 0.0
        self._note = ""
        self._last_s = time.monotonic()

    def _line(self) -> None:
        of_total = f"/{_number(self._total)}" if self._total is not None else ""
        done = f"{_number(self._done)}{of_total}"
        self._console.print(f"{self._description} {done} {self._note}".rstrip())
        self._last_s = time.monotonic()

    def advance(self, amount: float = 1.0) -> None:
        self._done += amount
        if time.monotonic() - self._last_s >= PLAIN_INTERVAL_S or self._done == self._total:
            self._line()

    def expect(self, total: float) -> None:
        self._total = total

    def note(self, text: str) -> None:
        self._note = text
        if time.monotonic() - self._last_s >= PLAIN_INTERVAL_S:
            self._line()

    def message(self, text: str) -> None:
        self._console.print(text)


@contextmanager
def progress_bar(description: str, total: float | None) -> Iterator[ProgressBar]:
    """Show the progress of `total` units of work (None: unknown) while the context is active."""
    console = err()
    if not console.is_terminal:
        yield _PlainLines(console, description, total)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _RichBar(progress, description, total)
