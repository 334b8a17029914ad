"""`asl-kit` in this process."""

from __future__ import annotations

import shlex
from typing import Any

from click.testing import CliRunner, Result

from asl_kit.cli import main


def run(*words: object, **options: Any) -> Result:
    """Run ``asl-kit`` in this process; an exception that is not an exit fails the test.

    Parameters
    ----------
    *words : object
        The arguments, each of them one word; or one string, which is split as a shell splits it.
    **options : Any
        Passed to `CliRunner.invoke`, for example ``input``.
    """
    arguments = (
        shlex.split(words[0]) if len(words) == 1 and isinstance(words[0], str) else [str(word) for word in words]
    )
    return CliRunner().invoke(main, arguments, catch_exceptions=False, **options)
