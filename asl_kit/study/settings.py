"""The study file: which sets, variants and seeds are trained, and how they are scored.

``[study]``, ``[sets.NAME]`` and ``[variants.NAME]`` hold keys of their own, and any key of the recipe:
``optimizer.epochs = 5``. A variant's keys take precedence over those of a set, and these over those of the study and of
the set's recipe. Paths are relative to the file; stores may be at addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator

from asl_evaluate.options import ScoringOptions
from asl_kit.base.files import read_toml
from asl_kit.base.similar_names import close_matches
from asl_kit.base.validation import StrictModel, check_version, validate
from asl_kit.errors import MissingFileError, RecipeError, StudyError, UsageError, error_context
from asl_kit.recipes.files import merge_tables, read_recipe
from asl_kit.recipes.schema import Recipe
from asl_kit.remote.address import Address, is_address, path_or_address

VERSION = 1
"""Version of the format."""

Name = Annotated[str, Field(min_length=1, max_length=80)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Table = dict[str, JsonValue]


class RecipeTables(StrictModel):
    """Keys of the recipe, which the recipe checks."""

    data: Table = Field(default_factory=dict)
    model: Table = Field(default_factory=dict)
    loss: Table = Field(default_factory=dict)
    sensitivity: Table = Field(default_factory=dict)
    contrastive: Table = Field(default_factory=dict)
    optimizer: Table = Field(default_factory=dict)
    inference: Table = Field(default_factory=dict)
    run: Table = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, fields: Any) -> Any:
        """Read quoted keys, ``"optimizer.epochs" = 5``, as TOML reads them without quotes."""
        if not isinstance(fields, dict):
            return fields
        nested: dict[str, Any] = {}
        for key, value in fields.items():
            for part in reversed(str(key).split(".")):
                value = {part: value}
            nested = merge_tables(nested, value)
        return nested

    def recipe_tables(self) -> dict[str, Any]:
        """Return the keys of the recipe, by table."""
        return {name: value for name in RecipeTables.model_fields if (value := getattr(self, name))}


class Scoring(StrictModel):
    """How the detections of a set are scored: the options of ``asl-kit eval``."""

    split: str | None = None
    tiou: str | tuple[float, ...] | None = None
    duplicates: Literal["keep", "drop"] = "keep"
    protocol: str | None = None
    vocabulary: str | None = None
    class_agnostic: bool = False


class StudyTable(RecipeTables):
    """What all runs share."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    baseline: str | None = None
    """The variant that the others are compared with; by default the first."""
    score: str = "average mAP"
    """The score that is compared: `average mAP`, `mAP@0.5`, or a recall or another score of the protocol."""

    @model_validator(mode="after")
    def _check(self) -> StudyTable:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must not contain duplicates")
        return self


class SetTable(RecipeTables):
    """Annotations and features that all variants are trained and scored on."""

    annotations: str
    features: str | Annotated[tuple[str, ...], Field(min_length=1)]
    recipe: str | None = None
    scoring: Scoring = Scoring()


class VariantTable(RecipeTables):
    """Settings that are compared."""

    start_from: str | None = None
    """A checkpoint to start from; `{set}` and `{seed}` stand for those of the run."""


class _Fields(StrictModel):
    study: StudyTable = StudyTable()
    sets: Annotated[dict[Name, SetTable], Field(min_length=1)]
    variants: Annotated[dict[Name, VariantTable], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> _Fields:
        baseline = self.study.baseline
        if baseline is not None and baseline not in self.variants:
            raise ValueError(f"study.baseline must be one of the variants: {', '.join(self.variants)}")
        return self


@dataclass(frozen=True)
class Run:
    """One training of a study."""

    set_name: str
    variant: str
    seed: int
    annotations: Path
    features: tuple[Path | Address, ...]
    recipe: Recipe
    start_from: Path | None
    scoring: ScoringOptions

    @property
    def name(self) -> str:
        """The run, for people."""
        return f"{self.set_name}, {self.variant}, seed {self.seed}"


@dataclass(frozen=True)
class Study:
    """A study with all its runs: one seed of every variant before the next, so that any part of it can be compared."""

    path: Path
    baseline: str
    score: str
    changes: Mapping[str, dict[str, Any]]
    """What each variant sets."""
    runs: tuple[Run, ...]


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises
    ------
    MissingFileError, StudyError, RecipeError, UsageError
        If a file is missing, or a key is unknown, missing or wrong; the message lists all of them.
    """
    fields = read_toml(path, StudyError)
    check_version(fields.pop("version", VERSION), VERSION, source=str(path), what="study", error=StudyError)
    read = validate(_Fields, fields, source=str(path), error=StudyError, hint=_hint(fields))
    folder = path.parent.absolute()
    runs = []
    for seed in read.study.seeds:
        for set_name, data in read.sets.items():
            with error_context(f"{path}: sets.{set_name}.recipe", RecipeError):
                base = read_recipe(data.recipe, beside=folder).fields if data.recipe is not None else {}
            with error_context(f"{path}: sets.{set_name}.scoring", UsageError):
                scoring = ScoringOptions(**dict(data.scoring))
            for variant, changes in read.variants.items():
                tables = [part.recipe_tables() for part in (read.study, data, changes)]
                tables.append({"run": {"seed": seed}})
                settings = base
                for table in tables:
                    settings = merge_tables(settings, table)
                source = f"{path}: variant {variant!r} of set {set_name!r}"
                hint = "`asl-kit train --print-recipe` lists all keys"
                start = _start(changes.start_from, path, set_name, seed)
                runs.append(
                    Run(
                        set_name=set_name,
                        variant=variant,
                        seed=seed,
                        annotations=folder / data.annotations,
                        features=tuple(
                            path_or_address(store if is_address(store) else folder / store)
                            for store in ([data.features] if isinstance(data.features, str) else data.features)
                        ),
                        recipe=validate(Recipe, settings, source=source, error=RecipeError, hint=hint),
                        start_from=start,
                        scoring=scoring,
                    )
                )
    baseline = read.study.baseline or next(iter(read.variants))
    described = {
        name: variant.recipe_tables() | ({"start_from": variant.start_from} if variant.start_from else {})
        for name, variant in read.variants.items()
    }
    return Study(path, baseline, read.study.score, described, tuple(runs))


def _start(start_from: str | None, path: Path, set_name: str, seed: int) -> Path | None:
    if start_from is None:
        return None
    found = path.parent / start_from.replace("{set}", set_name).replace("{seed}", str(seed))
    if not found.is_file():
        raise MissingFileError(f"{path}: start_from: {found}: no such file")
    return found


def _hint(fields: Mapping[str, Any]) -> str:
    """Return a hint: a similar name of a table, or what a study file holds."""
    for name in fields:
        if name not in _Fields.model_fields and (close := close_matches(name, list(_Fields.model_fields))):
            return f"did you mean [{close[0]}]?"
    return "a study file has [study], [sets.NAME] and [variants.NAME]: see docs/training.md"
