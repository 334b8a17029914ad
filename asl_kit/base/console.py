"""What long work shows: a bar on a terminal, plain lines elsewhere; both on stderr.

Results go to stdout, everything else to stderr, so that ``--json`` output can be piped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

PLAIN_INTERVAL_S = 10.0
PLAIN_WIDTH = 160
"""Columns of text that goes to a file or pipe, so that tables keep their columns whole."""


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, changes colours or titles, turns the direction of writing round, or cannot be written."""

_silent = False


def escape_control_characters(text: str) -> str:
    r"""Return text that a terminal shows and does not obey: control characters but tab and line feed as escapes.

    Names come from files of others.

    Examples
    --------
    >>> escape_control_characters("v\x1b[2J")
    'v\\x1b[2J'
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


class _PlainConsole(Console):
    """A console that takes no text for markup, and shows control characters instead of sending them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, soft_wrap=True, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what all text is printed from, that of tables too."""
        return super().render_str(escape_control_characters(text), **options)


def silence() -> None:
    """Show no more messages and progress of this process: another one shows them for it."""
    global _silent
    _silent = True


def out() -> Console:
    """Return the console for results (stdout). Made anew, so that it follows redirection."""
    console = _PlainConsole()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def err() -> Console:
    """Return the console for messages and progress (stderr)."""
    return _PlainConsole(stderr=True, quiet=_silent)


def warn(console: Console, text: str, *, what: str = "warning") -> None:
    """Print a warning, its first word in colour."""
    console.print(Text.assemble((f"{what}: ", "yellow"), escape_control_characters(text)))


class ProgressBar(Protocol):
    """Reports how far a piece of work has come."""

    def advance(self, amount: float = 1.0) -> None:
        """Count `amount` more units as done."""

    def expect(self, total: float) -> None:
        """Change how many units there are in all."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar: a rate, a loss, a file name."""

    def message(self, text: str) -> None:
        """Print a line of its own above the bar."""


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
    """Return a number to one decimal at most, with all its digits."""
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
    """Show the progress of `total` units of work (None: unknown) while the block runs."""
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
