"""Every error that a user's input can cause, each with a message, a hint and an exit code.

The message names the file, the video and the field, what was found and what was
expected; the hint says what to do. `asl_kit.cli` is the one boundary that
prints them. A bug of ours is never an `AslKitError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class AslKitError(Exception):
    """Base of all errors meant for the user.

    Parameters
    ----------
    message : str
        What was found, where, and what was expected.
    hint : str, optional
        What to do about it.

    Attributes
    ----------
    exit_code : int
        1 when the work failed, 2 when the command was called wrongly.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AslKitError, ValueError):
    """The command line itself is wrong: options that conflict, a value out of range."""

    exit_code = 2


class MissingFileError(AslKitError, FileNotFoundError):
    """A file or folder that the user named does not exist."""

    exit_code = 2

    def __str__(self) -> str:
        return self.message  # FileNotFoundError would print its (absent) errno


class AnnotationError(AslKitError, ValueError):
    """Annotations that cannot be read, or that contradict themselves."""


class ConverterError(AslKitError, RuntimeError):
    """A converter of another package that fails, or does not give what a converter must."""


class ManifestError(AslKitError, ValueError):
    """A manifest with unknown, missing or wrong keys."""


class RecipeError(AslKitError, ValueError):
    """A recipe with unknown, missing or wrong keys."""

    exit_code = 2


class StoreError(AslKitError, ValueError):
    """A feature store that is absent, damaged or of another format version."""


class SpecConflictError(StoreError):
    """Features made in one way would be mixed with features made in another."""

    exit_code = 2


class FeatureError(AslKitError, ValueError):
    """Features of a video that cannot be used: not finite, wrong shape."""


class VideoError(AslKitError, OSError):
    """A video file that cannot be decoded, wholly and faithfully."""

    def __str__(self) -> str:
        return self.message


class OutputError(AslKitError, OSError):
    """A file or folder that cannot be written; what was there before is as it was."""

    def __str__(self) -> str:
        return self.message


class CheckpointError(AslKitError, ValueError):
    """A checkpoint that is not one, or of another format version, or that does not fit the data."""


class TrainingError(AslKitError, RuntimeError):
    """Training cannot start or cannot go on: no data, a loss that is not finite."""


class PredictionError(AslKitError, ValueError):
    """A predictions file that cannot be read or scored."""


class SensitivityError(AslKitError, ValueError):
    """A file of learned sensitivity that cannot be read."""


class MissingDependencyError(AslKitError, ImportError):
    """A package, decoder or device that this command needs is not installed."""


@contextmanager
def error_context(source: object, kind: type[AslKitError]) -> Iterator[None]:
    """Put a source (a file, a place in it) in front of the messages of errors of this kind."""
    try:
        yield
    except kind as error:
        raise kind(f"{source}: {error.message}", hint=error.hint) from error
