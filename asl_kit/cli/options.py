"""What several commands' options share."""

from __future__ import annotations

from pathlib import Path

from asl_kit.errors import UsageError


def split_paths(text: str) -> list[Path]:
    """Return the paths of a comma-separated option.

    Raises
    ------
    UsageError
        If one is empty.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"--features {text}: an empty path between commas")
    return [Path(part) for part in parts]
