"""How commands print results: as text for people, and as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from asl_kit.base.console import err, escape_control_characters, out
from asl_kit.base.files import write_text

REDIRECTION = "asl_kit.redirection"
"""Key of the `ExitStack` in a command's context that ends the redirection of stdout."""


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect to stderr everything printed on stdout by Python, C and child processes."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def print_results(text: str, results: Any, json_path: str | None) -> None:
    """Print results on stdout, and write them as JSON if requested.

    Parameters
    ----------
    text : str
        For people; not printed if stdout receives the JSON.
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
        click.echo(escape_control_characters(text))
    if json_path is not None:
        write_json(results, json_path)


def show(result: Any, print_result: Callable[[Any, Console], None], json_path: str | None) -> None:
    """Print a result as tables, on stderr if stdout receives the JSON, and write its `to_json()` for ``--json``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    print_result(result, err() if json_path == "-" else out())
    if json_path is not None:
        write_json(result.to_json(), json_path)


def write_json(results: Any, json_path: str) -> None:
    """Write results as JSON to a file, or to stdout if `json_path` is ``-``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = json.dumps(results, indent=2)
    if json_path == "-":
        if redirection := click.get_current_context().meta.get(REDIRECTION):
            redirection.close()
        click.echo(text)
        return
    write_text(Path(json_path), text + "\n")
