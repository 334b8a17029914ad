"""Errors that a user's input can cause, each with a message, a hint and an exit code.

The message names the file, the video and the field, what was found and what was
expected; the hint says what to do. `asl_kit.cli` prints them. A bug in asl-kit
is never an `AslKitError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class AslKitError(Exception):
    """Base class of all errors for the user.

    Parameters
    ----------
    message : str
        What was found, where, and what was expected.
    hint : str, optional
        How to solve the problem.

    Attributes
    ----------
    exit_code : int
        1 if the work failed, 2 if the command was called incorrectly.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AslKitError, ValueError):
    """The command line is wrong: options that conflict, or a value out of range."""

    exit_code = 2


class MissingFileError(AslKitError, FileNotFoundError):
    """A file or folder that the user named does not exist."""

    exit_code = 2

    def __str__(self) -> str:
        return self.message  # FileNotFoundError would print its errno, which is not set


class AnnotationError(AslKitError, ValueError):
    """Annotations cannot be read, or contradict themselves."""


class PluginError(AslKitError, RuntimeError):
    """A plug-in of another package fails, or returns something that it must not."""


class ManifestError(AslKitError, ValueError):
    """A manifest has unknown, missing or wrong keys."""


class RecipeError(AslKitError, ValueError):
    """A recipe has unknown, missing or wrong keys."""

    exit_code = 2


class StudyError(AslKitError, ValueError):
    """A study file has unknown, missing or wrong keys, or its runs cannot be compared."""

    exit_code = 2


class StoreError(AslKitError, ValueError):
    """A feature store is missing, damaged or of another format version."""


class SpecConflictError(StoreError):
    """Features with different extraction specs would be mixed."""

    exit_code = 2


class FeatureError(AslKitError, ValueError):
    """Features of a video cannot be used: they are not finite or have the wrong shape."""


class VideoError(AslKitError, OSError):
    """A video file cannot be decoded completely and correctly."""

    def __str__(self) -> str:
        return self.message


class OutputError(AslKitError, OSError):
    """A file or folder cannot be written; existing files are unchanged."""

    def __str__(self) -> str:
        return self.message


class CheckpointError(AslKitError, ValueError):
    """A file is not a checkpoint, has another format version, or does not fit the data."""


class TrainingError(AslKitError, RuntimeError):
    """Training cannot start or continue: there is no data, or a loss is not finite."""


class PredictionError(AslKitError, ValueError):
    """A predictions file cannot be read or scored."""


class SensitivityError(AslKitError, ValueError):
    """A file of learned sensitivity cannot be read."""


class MissingDependencyError(AslKitError, ImportError):
    """A package, decoder or device that the command needs is not available."""


def first_few(names: Sequence[object], count: int = 5) -> str:
    """Return the first of many names, for a message.

    Examples
    --------
    >>> first_few(["a", "b", "c"], 2)
    'a, b, ...'
    """
    return ", ".join(map(str, names[:count])) + (", ..." if len(names) > count else "")


@contextmanager
def error_context(source: object, kind: type[AslKitError]) -> Iterator[None]:
    """Prefix the messages of errors of this kind with their source: a file, or a place in it."""
    try:
        yield
    except kind as error:
        raise kind(f"{source}: {error.message}", hint=error.hint) from error
