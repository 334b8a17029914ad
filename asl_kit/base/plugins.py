"""Plug-ins of other installed packages, found by entry points and imported when they are used."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from asl_kit.errors import MissingDependencyError, UsageError


def entry_names(group: str) -> set[str]:
    """Return the names of the entry points in a group."""
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
        The kind of plug-in, for messages: ``converter``.

    Raises
    ------
    UsageError
        If two packages provide it.
    """
    found = list(entry_points(group=group, name=name))
    if len(found) > 1:
        places = ", ".join(sorted(f"{package_of(entry)} ({entry.value})" for entry in found))
        raise UsageError(f"{len(found)} packages provide a {kind} {name!r}: {places}", hint="Uninstall all but one.")
    return found[0] if found else None


def load_entry(entry: EntryPoint, *, kind: str) -> Any:
    """Import the object that an entry point names.

    Raises
    ------
    MissingDependencyError
        If it cannot be imported; the message names its package.
    """
    try:
        return entry.load()
    except Exception as error:  # importing the package may raise anything
        if is_own(entry) and not isinstance(error, ImportError | AttributeError):
            raise
        raise MissingDependencyError(
            f"the {kind} {entry.name!r} ({entry.value}) of the package {package_of(entry)} cannot be loaded: {error}"
        ) from error


def is_own(entry: EntryPoint) -> bool:
    """Return whether an entry point belongs to asl-kit."""
    return entry.module.startswith("asl_kit.")


def package_of(entry: EntryPoint) -> str:
    """Return the name of the package that provides an entry point."""
    return entry.dist.name if entry.dist else entry.module
