"""How commands print results: as text for people, and as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from asl_kit.base.console import visible
from asl_kit.base.files import write_text

RESULTS = "asl_kit.results"
"""Where a command's context keeps the stream that `keep_stdout_for_results` returned."""


@contextmanager
def keep_stdout_for_results() -> Iterator[TextIO]:
    """Return a stream to stdout, and send to stderr what anything else prints there meanwhile.

    Packages print notices when they are imported or lose a process, in Python or from C, here or in child processes.
    """
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        if _leads_to(stdout, 1):
            with open(kept, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False) as results:
                yield results
        else:  # redirected in Python, as tests do
            yield stdout
    finally:
        sys.stdout = stdout
        os.dup2(kept, 1)
        os.close(kept)


def _leads_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):  # no file
        return False


def print_results(text: str, results: Any, json_path: str | None) -> None:
    """Print results on stdout, and write them as JSON where the user asked for it.

    Parameters
    ----------
    text : str
        For people; left out when stdout is to hold the JSON.
    results : object
        JSON-ready.
    json_path : str or None
        The value of ``--json``: a file, ``-`` for stdout, or None.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    if json_path != "-":
        click.echo(visible(text))
    if json_path is not None:
        write_json(results, json_path)


def write_json(results: Any, json_path: str) -> None:
    """Write results as JSON to a file, or to stdout if `json_path` is ``-``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = json.dumps(results, indent=2)
    if json_path == "-":
        click.echo(text, file=click.get_current_context().meta.get(RESULTS))
        return
    write_text(Path(json_path), text + "\n")
