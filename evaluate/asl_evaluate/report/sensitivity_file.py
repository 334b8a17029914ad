"""The file that ``asl-kit eval --sensitivity`` writes, read for a report (format: `asl_evaluate.sensitivity`)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from asl_kit.base.files import read_json
from asl_kit.base.validation import StrictModel, check_version, validate
from asl_kit.errors import SensitivityError
from asl_kit.recipes.schema import ONE_CLASS

Curve = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]


class ClassCurves(StrictModel):
    """The learned sensitivity over a segment of one class."""

    p_cls: Curve
    p_loc: Curve
    mu: dict[str, float]
    sigma: dict[str, float]
    training_segments: int | None


class VideoCurves(StrictModel):
    """The learned sensitivity over one video; entry i is at ``first_s + i * step_s`` seconds."""

    first_s: float
    step_s: Annotated[float, Field(gt=0)]
    q_cls: Curve
    q_loc: Curve

    @model_validator(mode="after")
    def _are_equally_long(self) -> Self:
        if len(self.q_cls) != len(self.q_loc):
            raise ValueError(f"q_cls has {len(self.q_cls)} values, q_loc {len(self.q_loc)}")
        return self


class Sensitivity(StrictModel):
    """The contents of the file."""

    format: Literal["asl-kit/sensitivity"]
    version: Literal[1]
    split: str
    mode: str
    u: list[float]
    """Positions in a segment, from its start (-0.5) to its end (0.5)."""
    classes: dict[str, ClassCurves] | None
    """One, `ONE_CLASS`, for all classes, if the model learned them as one."""
    videos: dict[str, VideoCurves] | None

    @model_validator(mode="after")
    def _match_the_positions(self) -> Self:
        for name, curves in (self.classes or {}).items():
            if not len(curves.p_cls) == len(curves.p_loc) == len(self.u):
                raise ValueError(f"class {name!r}: p_cls and p_loc must have {len(self.u)} values, as u")
        return self


def read_sensitivity(path: Path, *, vocabulary: str, classes: Collection[str], videos: Collection[str]) -> Sensitivity:
    """Read the curves of a vocabulary's classes and of videos from a sensitivity file.

    Parameters
    ----------
    path : Path
        The file.
    vocabulary : str
        If the model has several vocabularies, the file names classes with theirs (``verb: wash``).
    classes, videos : collection of str
        Names of the vocabulary's classes, and of videos.

    Raises
    ------
    MissingFileError
        If there is no such file.
    SensitivityError
        If it is not of the format, or has none of these classes or videos. The message lists every error.
    """
    document = read_json(path, SensitivityError)
    hint = "such files are written by asl-kit eval --sensitivity FILE"
    if isinstance(document, dict) and "version" in document:
        version = document["version"]
        check_version(version, 1, source=str(path), what="sensitivity", error=SensitivityError, hint=hint)
    sensitivity = validate(Sensitivity, document, source=str(path), error=SensitivityError, hint=hint)
    by_class = sensitivity.classes and {
        name if name in classes else name.removeprefix(f"{vocabulary}: "): curves
        for name, curves in sensitivity.classes.items()
    }
    known = [ONE_CLASS] if by_class and [*by_class] == [ONE_CLASS] else classes
    return sensitivity.model_copy(
        update={
            "classes": _those_of(path, "classes", by_class, known),
            "videos": _those_of(path, "videos", sensitivity.videos, videos),
        }
    )


Curves = TypeVar("Curves", ClassCurves, VideoCurves)


def _those_of(
    path: Path, kind: str, found: dict[str, Curves] | None, known: Collection[str]
) -> dict[str, Curves] | None:
    kept = found and {name: curves for name, curves in found.items() if name in known}
    if found and not kept:
        raise SensitivityError(
            f"{path}: none of its {len(found)} {kind} (such as '{next(iter(found))}') is in this report",
            hint="the file must come from the same dataset and the same split",
        )
    return kept
