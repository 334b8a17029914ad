"""``init.json``: what `asl-kit init` found, proposed and wrote into a project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from pydantic import BaseModel, Field, PositiveInt

from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.base.files import read_json, sha256_of
from asl_kit.base.validation import check_version, validate
from asl_kit.errors import MissingFileError, UsageError
from asl_kit.own_data.proposal import Choice

ANNOTATIONS, RECIPE, SCRIPT, RECORD = "annotations.json", "recipe.toml", "run.sh", "init.json"
VERSION = 1
"""Of the record; the first records do not state it."""
RUN = "run"
"""Folder of the first run."""


@final  # so that `project and project.run` has a type
@dataclass(frozen=True, slots=True)
class Project:
    """A project as the last `asl-kit init` and its user left it."""

    folder: Path
    annotations: AnnotationSet
    extraction: list[Choice]
    """Options of ``asl-kit extract`` that made the features."""
    recipe: list[Choice]
    """Recipe keys of the last proposal."""
    run: str
    """Folder of the run that the script trains."""
    edited: frozenset[str]
    """Names of the files that the user has edited."""


class _Extraction(BaseModel):
    """The options that the proposal is computed from."""

    backbone: str = Field(alias="--backbone")
    weights: str = Field("default", alias="--weights")
    window: PositiveInt = Field(alias="--window")
    stride: PositiveInt = Field(alias="--stride")
    fps: PositiveInt | None = Field(None, alias="--fps")


class _Proposed(BaseModel):
    extraction: list[Choice]
    recipe: list[Choice]


class _Record(BaseModel):
    """What an update needs of the record; the survey in it is for people."""

    proposed: _Proposed
    run: str = Field(RUN, pattern="^run(-[0-9]{1,9})?$")


def read_record(folder: Path) -> dict[str, Any]:
    """Return the content of ``init.json``, or nothing if there is no such file.

    Raises
    ------
    UsageError
        If it is not a JSON object, or is of a newer version.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    record = read_json(path, UsageError)
    if not isinstance(record, dict):
        raise UsageError(f"{path}: must be an object, found a {type(record).__name__}")
    check_version(record.get("version", VERSION), VERSION, source=str(path), what="project", error=UsageError)
    return record


def find_edited(folder: Path, names: Iterable[str], record: dict[str, Any]) -> frozenset[str]:
    """Return the names of the files that exist and are not as `asl-kit init` wrote them.

    ``replacing`` in the record lists the files that a call was about to write when it was stopped.
    """
    known = [record.get(key) for key in ("files", "replacing")]
    written = {(name, sha) for files in known if isinstance(files, dict) for name, sha in files.items()}
    return frozenset(
        name for name in names if (folder / name).exists() and (name, sha256_of(folder / name)) not in written
    )


def read_project(folder: Path) -> Project:
    """Read a project that `asl-kit init` wrote.

    Parameters
    ----------
    folder : Path
        The folder of the project.

    Raises
    ------
    UsageError
        If it is not a project, or ``init.json`` is damaged or of a newer version.
    MissingFileError
        If its annotations are gone.
    AnnotationError
        If its annotations are not valid.
    """
    record = read_record(folder)
    if not record:
        raise UsageError(
            f"{folder}: not a project of asl-kit init: there is no {RECORD}", hint="leave out --update to make one"
        )
    path = folder / RECORD
    hint = "asl-kit init without --update writes it again; another --out makes a new project"
    known = validate(_Record, record, source=str(path), error=UsageError, hint=hint)
    options = {choice.name: choice.value for choice in known.proposed.extraction}
    validate(_Extraction, options, source=f"{path}: proposed.extraction", error=UsageError, hint=hint)
    if not (folder / ANNOTATIONS).exists():
        raise MissingFileError(
            f"{folder / ANNOTATIONS}: no such file; it holds the splits of the project",
            hint="restore it, or choose another --out for a new project",
        )
    return Project(
        folder=folder,
        annotations=read_annotations(folder / ANNOTATIONS),
        extraction=known.proposed.extraction,
        recipe=known.proposed.recipe,
        run=known.run,
        edited=find_edited(folder, (ANNOTATIONS, RECIPE, SCRIPT), record),
    )
