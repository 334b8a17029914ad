"""The files among what users name: files themselves, and those in folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from asl_kit.errors import AnnotationError, MissingFileError


def find_files(sources: Iterable[Path], patterns: Sequence[str], *, beside: Sequence[str] = ()) -> list[Path]:
    """Return the files that match a pattern: those named, and those in folders named, however deep.

    Parameters
    ----------
    sources : iterable of Path
        What users name.
    patterns : sequence of str
        Names of files, with ``*`` for anything; capitals do not count.
    beside : sequence of str
        Further patterns, for files that are taken only where they are named themselves.

    Returns
    -------
    list of Path
        Each file once, in the order of the sources, those of a folder sorted.

    Raises
    ------
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a file's name matches no pattern, or a folder holds no file that does.
    """
    expected = " or ".join(filter(None, [", ".join(patterns[:-1]), patterns[-1]]))
    files: list[Path] = []
    for source in sources:
        if source.is_dir():
            found = sorted(path for path in source.rglob("*") if matches(path, patterns) and path.is_file())
            if not found:
                raise AnnotationError(f"{source}: no file named {expected} in this folder")
            files += found
        elif not source.exists():
            raise MissingFileError(f"{source}: no such file")
        elif matches(source, (*patterns, *beside)):
            files.append(source)
        else:
            hint = f"Beside them may lie: {', '.join(beside)}" if beside else None
            if source.suffix == ".json":
                hint = "JSON files are taken by themselves, not beside others."
            raise AnnotationError(f"{source}: expected {expected}, or a folder that holds such files", hint=hint)
    return list(dict.fromkeys(files))


def matches(path: Path, patterns: Iterable[str]) -> bool:
    """Say whether a file's name matches one of the patterns; capitals do not count."""
    return any(fnmatchcase(path.name.lower(), pattern.lower()) for pattern in patterns)


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Return files by name.

    Raises
    ------
    AnnotationError
        If two of them have one name.
    """
    named: dict[str, Path] = {}
    for path in files:
        if named.setdefault(path.name, path) != path:
            raise AnnotationError(f"{path}: given twice, also as {named[path.name]}", hint="Name the one that counts.")
    return named
