"""Validation of input: pydantic models that refuse unknown keys, and one message that lists all errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from asl_kit.errors import AslKitError, UsageError

MAX_ERRORS_SHOWN = 20


class StrictModel(BaseModel):
    """A pydantic model that refuses unknown keys and is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def validate(
    model: type[Model], fields: object, *, source: str, error: type[AslKitError], hint: str | None = None
) -> Model:
    """Build `model` from `fields`, or raise one `error` that lists everything wrong.

    Parameters
    ----------
    model : type of BaseModel
        The model to build.
    fields : object
        Parsed JSON or TOML.
    source : str
        Where the fields come from; the message starts with it.
    error : type of AslKitError
        The error to raise.
    hint : str, optional
        Shown below the message.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as exception:
        raise error(f"{source}: {describe_errors(exception)}", hint=hint) from exception


def check_version(
    found: object, known: int, *, source: str, what: str, error: type[AslKitError], hint: str | None = None
) -> None:
    """Refuse a file whose format version is not the one that this asl-kit reads.

    Parameters
    ----------
    found : object
        The version in the file.
    known : int
        The version that this asl-kit reads.
    source : str
        The file.
    what : str
        The kind of file: ``checkpoint``.
    error : type of AslKitError
        The error to raise; the message names both versions.
    hint : str, optional
        Shown below the message. Default: how to install another version of asl-kit.
    """
    if type(found) is not int or found != known:
        raise error(
            f"{source}: {what} format version is {found!r}, this asl-kit reads version {known}",
            hint=hint or "use the asl-kit that wrote it; `pip install --upgrade asl-kit` installs the newest",
        )


def describe_errors(error: ValidationError) -> str:
    """Return all errors of a pydantic validation as one message; see `list_errors`."""
    return list_errors(error_lines(error))


def error_lines(error: ValidationError) -> list[str]:
    """Return a line ``place: text, found value`` for each error of a pydantic validation."""
    lines = []
    for item in error.errors(include_url=False):
        if item["type"] in ("extra_forbidden", "missing"):
            text = "unknown key" if item["type"] == "extra_forbidden" else "missing"
            lines.append(f"{_place_text(item['loc'])}: {text}")
        else:
            lines.append(error_line(item["loc"], item["msg"].removeprefix("Value error, "), item["input"]))
    return lines


def error_line(place: Sequence[str | int], text: str, found: object) -> str:
    """Return ``place: text, found value``, with a long value shortened."""
    value = repr(found)
    return f"{_place_text(place)}: {text}, found {value if len(value) <= 60 else value[:57] + '...'}"


def _place_text(place: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in place) or "(whole)"


def list_errors(lines: Sequence[str]) -> str:
    """Join error lines into one message: a single line as it is, several below their count."""
    if len(lines) == 1:
        return lines[0]
    more = [f"and {len(lines) - MAX_ERRORS_SHOWN} more"] if len(lines) > MAX_ERRORS_SHOWN else []
    return "\n  ".join([f"{len(lines)} errors", *lines[:MAX_ERRORS_SHOWN], *more])


def raise_errors(title: str, errors: Iterable[tuple[tuple[str | int, ...], str, object]]) -> None:
    """Raise one pydantic `ValidationError` for all (place, text, value found) if there are any.

    To be called in a validator; places are relative to the model that it validates.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError("inconsistent", "{text}", {"text": text}), loc=place, input=found)
        for place, text, found in errors
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def check_weights(weights: Sequence[float] | None, count: int, what: str) -> list[float]:
    """Return the weights of several models, equal ones if none are given.

    Raises
    ------
    UsageError
        If they are not positive numbers, or not one for each.
    """
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        raise UsageError(f"{len(weights)} weights for {count} {what}: give one for each")
    wrong = [weight for weight in weights if not (math.isfinite(weight) and weight > 0)]
    if wrong:
        raise UsageError(f"weight {wrong[0]}: expected a number above 0")
    return list(weights)
