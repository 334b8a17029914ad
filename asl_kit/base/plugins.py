"""What other installed packages bring, found by their entry points; nothing of them is imported before it is used."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from asl_kit.errors import MissingDependencyError, UsageError


def entry_names(group: str) -> set[str]:
    """Return the names that installed packages bring in a group of entry points."""
    return set(entry_points(group=group).names)


def find_entry(group: str, name: str, *, kind: str) -> EntryPoint | None:
    """Return the only entry point of this name, or None.

    Parameters
    ----------
    group : str
        Group of entry points.
    name : str
        Name in the group.
    kind : str
        What it is, for messages: ``converter``.

    Raises
    ------
    UsageError
        If two packages bring it.
    """
    found = list(entry_points(group=group, name=name))
    if len(found) > 1:
        places = ", ".join(sorted(f"{package_of(entry)} ({entry.value})" for entry in found))
        raise UsageError(f"{len(found)} packages bring a {kind} {name!r}: {places}", hint="Uninstall all but one.")
    return found[0] if found else None


def load_entry(entry: EntryPoint, *, kind: str) -> Any:
    """Import what an entry point names.

    Raises
    ------
    MissingDependencyError
        If it cannot be imported; the message names its package.
    """
    try:
        return entry.load()
    except Exception as error:  # the package may do anything when it is imported
        if is_own(entry) and not isinstance(error, ImportError | AttributeError):
            raise
        raise MissingDependencyError(
            f"the {kind} {entry.name!r} ({entry.value}) of the package {package_of(entry)} cannot be loaded: {error}"
        ) from error


def is_own(entry: EntryPoint) -> bool:
    """Whether an entry point is of this package."""
    return entry.module.startswith("asl_kit.")


def package_of(entry: EntryPoint) -> str:
    """Return the name of the package that brings an entry point."""
    return entry.dist.name if entry.dist else entry.module
