"""Plug-ins of other installed packages, found by entry points and imported when they are used."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from asl_kit.errors import AslKitError, MissingDependencyError, PluginError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Plugin = TypeVar("Plugin")


def entry_names(group: str) -> set[str]:
    """Return the names of the entry points in a group."""
    from importlib.metadata import entry_points  # takes 20 ms, which no `--help` should wait for

    return set(entry_points(group=group).names)


def find_entry(group: str, name: str, *, kind: str, built_in: Container[str] = ()) -> EntryPoint | None:
    """Return the only entry point of this name, or None.

    Parameters
    ----------
    group : str
        Group of entry points.
    name : str
        Name in the group.
    kind : str
        The kind of plug-in, for messages: ``converter``.
    built_in : container of str
        Names that asl-kit has without an entry point.

    Raises
    ------
    UsageError
        If two packages provide it, or a package and asl-kit.
    """
    from importlib.metadata import entry_points

    found = list(entry_points(group=group, name=name))
    if len(found) > 1:
        places = ", ".join(sorted(f"{package_of(entry)} ({entry.value})" for entry in found))
        raise UsageError(f"{len(found)} packages provide a {kind} {name!r}: {places}", hint="Uninstall all but one.")
    if found and name in built_in:
        raise UsageError(
            f"the package {package_of(found[0])} ({found[0].value}) provides a {kind} {name!r}, which asl-kit also has",
            hint="Uninstall that package, or ask its authors to rename it.",
        )
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
    except SystemExit as fault:
        raise MissingDependencyError(f"{describe(entry, kind)} cannot be loaded: {fault_text(fault)}") from fault
    except Exception as error:  # importing the package may raise anything
        if is_own(entry) and not isinstance(error, ImportError | AttributeError):
            raise
        raise MissingDependencyError(f"{describe(entry, kind)} cannot be loaded: {error}") from error


def load_instance(entry: EntryPoint, wanted: type[Plugin], *, kind: str) -> Plugin:
    """Import a plug-in that is an instance of a class with the entry point's `name`, or a function that returns one.

    Raises
    ------
    MissingDependencyError
        If it cannot be imported or made, is something else, or has another name.
    """
    plugin, who = load_entry(entry, kind=kind), describe(entry, kind)
    if callable(plugin):
        try:
            plugin = plugin()
        except AslKitError:
            raise
        except (Exception, SystemExit) as fault:
            raise MissingDependencyError(f"{who} cannot be loaded: {fault_text(fault)}") from fault
    if not isinstance(plugin, wanted):
        raise MissingDependencyError(f"{who} must be a {wanted.__name__} or return one, found {plugin!r:.60}")
    if (name := getattr(plugin, "name", None)) != entry.name:
        raise MissingDependencyError(f"{who} must have the same name in its {wanted.__name__}, found {name!r}")
    return plugin


@contextmanager
def plugin_faults(
    entry: EntryPoint, *, kind: str, command: str, passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn an exception in another package's code into one message that names it; `AslKitError` and `OSError` pass.

    `SystemExit` does not: the command would end, perhaps with exit code 0, without a word.

    Parameters
    ----------
    entry : EntryPoint
        The plug-in that runs. An exception in a plug-in of asl-kit passes: it is a bug, whose traceback is needed.
    kind : str
        The kind of plug-in, for the message.
    command : str
        The command whose output with `--debug` helps its authors.
    passing : tuple of type
        More exceptions that pass.

    Raises
    ------
    PluginError
        If the block raises any other exception.
    """
    try:
        yield
    except (AslKitError, OSError):
        raise
    except passing:
        raise
    except (Exception, SystemExit) as fault:
        if is_own(entry):
            raise
        raise PluginError(
            f"{name_with_package(entry, kind)} failed: {fault_text(fault)}",
            hint=f"Send its authors the output of `asl-kit --debug {command} ...`.",
        ) from fault


def fault_text(fault: BaseException) -> str:
    """Return the type and the message of an exception: ``KeyError: 'x'``, or ``ValueError`` if it has no message."""
    return f"{type(fault).__name__}: {fault}".removesuffix(": ")


def describe(entry: EntryPoint, kind: str) -> str:
    """Return what an entry point is, for messages: ``the converter 'a' (b:convert) of the package b``."""
    return f"the {kind} {entry.name!r} ({entry.value}) of the package {package_of(entry)}"


def name_with_package(entry: EntryPoint, kind: str) -> str:
    """Return what an entry point is, without its place: ``the converter 'a' of the package b``."""
    return f"the {kind} {entry.name!r} of the package {package_of(entry)}"


def is_own(entry: EntryPoint) -> bool:
    """Return whether an entry point belongs to asl-kit."""
    return entry.module.startswith(("asl_kit.", "asl_evaluate."))


def package_of(entry: EntryPoint) -> str:
    """Return the name of the package that provides an entry point."""
    return entry.dist.name if entry.dist else entry.module


def package_version(entry: EntryPoint) -> str:
    """Return the name and version of the package that provides an entry point: ``fieldnotes-asl-kit 1.0.0``."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else package_of(entry)
