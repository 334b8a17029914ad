"""The files among the sources of a conversion: files that users name, and files in folders that they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from asl_kit.errors import AnnotationError, MissingFileError


def find_files(sources: Iterable[Path], patterns: Sequence[str], *, beside: Sequence[str] = ()) -> list[Path]:
    """Return the files that match a pattern, including those in folders and their subfolders.

    Parameters
    ----------
    sources : iterable of Path
        Files and folders that the user names.
    patterns : sequence of str
        Names of files, with ``*`` as a wildcard; not case-sensitive.
    beside : sequence of str
        Further patterns, for files that the user names explicitly.

    Returns
    -------
    list of Path
        Each file once, in the order of the sources, with the files of a folder sorted.

    Raises
    ------
    MissingFileError
        If a source does not exist.
    AnnotationError
        If the name of a file matches no pattern, or a folder contains no matching file.
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
            hint = f"Also accepted: {', '.join(beside)}" if beside else None
            if source.suffix == ".json":
                hint = "JSON files cannot be combined with other files."
            raise AnnotationError(f"{source}: expected {expected}, or a folder that contains such files", hint=hint)
    return list(dict.fromkeys(files))


def find_sources(
    sources: Iterable[Path], patterns: Sequence[str], *, beside: Sequence[str] = ()
) -> tuple[list[Path], list[Path]]:
    """Return the files that match a pattern, including those in folders, and the tables (`.csv`) among the sources.

    Parameters are those of `find_files`.

    Raises
    ------
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a source is neither, or no file matches.
    """
    found = find_files(sources, patterns, beside=[*beside, "*.csv"])
    tables = [path for path in found if path.suffix.lower() == ".csv"]
    files = [path for path in found if path not in tables]
    if not files:
        names = ", ".join(map(str, tables))
        raise AnnotationError(f"{names}: only tables of durations (.csv); expected {' or '.join(patterns)} as well")
    return files, tables


def dataset_name(sources: Sequence[Path], converter: str) -> str:
    """Return a name for users' own annotations: that of the first source that is not a table, if there is one."""
    named = [source for source in sources if source.suffix.lower() != ".csv" or source.is_dir()] or sources
    return (named[0].resolve().name if named[0].is_dir() else named[0].stem) or converter


def matches(path: Path, patterns: Iterable[str]) -> bool:
    """Return whether the name of a file matches one of the patterns; not case-sensitive."""
    return any(fnmatchcase(path.name.lower(), pattern.lower()) for pattern in patterns)


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Return files by name.

    Raises
    ------
    AnnotationError
        If two of them have the same name.
    """
    named: dict[str, Path] = {}
    for path in files:
        if named.setdefault(path.name, path) != path:
            raise AnnotationError(f"{path}: given twice, also as {named[path.name]}", hint="Give only one of them.")
    return named
