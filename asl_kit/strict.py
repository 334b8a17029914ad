"""Checked input: pydantic models that refuse unknown keys, and one message that lists every fault."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from asl_kit.errors import AslKitError, MissingFileError

MAX_FAULTS_SHOWN = 20


class StrictModel(BaseModel):
    """A pydantic model that refuses unknown keys and cannot be changed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, error: type[AslKitError]) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    error
        If the file is not UTF-8 TOML; the message names the place.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise error(f"{path}: not a TOML file: {fault}") from fault


def validate(model: type[Model], fields: object, *, source: str, error: type[AslKitError], hint: str | None = None) -> Model:
    """Build `model` from `fields`, or raise one `error` that lists all faults.

    Parameters
    ----------
    model : type of BaseModel
        What to build.
    fields : object
        Parsed JSON or TOML.
    source : str
        Where the fields come from, named at the head of the message.
    error : type of AslKitError
        What to raise.
    hint : str, optional
        Shown below the message.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as fault:
        raise error(f"{source}: {describe_faults(fault)}", hint=hint) from fault


def describe_faults(fault: ValidationError) -> str:
    """Return every fault of a pydantic error: a count, then one line each with its place and value."""
    lines = []
    for item in fault.errors(include_url=False)[:MAX_FAULTS_SHOWN]:
        place = ".".join(str(part) for part in item["loc"]) or "(whole)"
        if item["type"] == "extra_forbidden":
            lines.append(f"{place}: unknown key")
        elif item["type"] == "missing":
            lines.append(f"{place}: missing")
        else:
            text = item["msg"].removeprefix("Value error, ")
            found = repr(item["input"])
            found = found if len(found) <= 60 else found[:57] + "..."
            lines.append(f"{place}: {text}, found {found}")
    count = fault.error_count()
    if count > MAX_FAULTS_SHOWN:
        lines.append(f"and {count - MAX_FAULTS_SHOWN} more")
    if count == 1:
        return lines[0]
    return "\n  ".join([f"{count} faults", *lines])
