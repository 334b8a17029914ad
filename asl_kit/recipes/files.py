"""Recipe files: built-in recipes, files that extend others, settings of the command line, and output as TOML.

Three keys of a file are not settings of a run. ``version`` is the version of the format, by
default 1; ``extends`` names another recipe, built-in or a file relative to this
one, whose tables it starts from; ``[about]`` describes a published recipe.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from rich.table import Table

from asl_kit.base.files import read_toml
from asl_kit.base.similar_names import close_matches
from asl_kit.base.validation import StrictModel, check_version, validate
from asl_kit.errors import RecipeError
from asl_kit.recipes.schema import Recipe

FOLDER = Path(__file__).parent
"""The folder of the built-in recipes."""

VERSION = 1
"""Version of the format."""


class PublishedResult(StrictModel):
    """A result in the literature, for comparison."""

    method: str
    """The method: ActionFormer, ASL, ..."""
    average_map: Annotated[float, Field(gt=0, lt=100)]
    """Mean average precision in per cent, over the tIoU thresholds of the dataset."""
    source: str
    """The source of the result: a paper, or a file and its commit."""
    features: str = ""
    """Feature set of the result, if the recipe is for several."""
    note: str = ""
    """What makes the result not fully comparable."""


class About(StrictModel):
    """Dataset and features of a published recipe, the source of its values, and the results to expect."""

    dataset: str
    """Name of the dataset's manifest."""
    features: tuple[str, ...]
    """Feature sets of the manifest; several streams are separated by commas, in the order of ``--features``."""
    extracted: tuple[str, ...] = ()
    """Those of them that ``asl-kit extract --preset`` makes from videos."""
    settings: str
    """The configuration with these values: repository, file and commit."""
    published: tuple[PublishedResult, ...] = ()
    limits: tuple[str, ...] = ()
    """Differences from the published configuration, in addition to those of an extended recipe."""


class RecipeFile(NamedTuple):
    """A recipe file merged with what it extends; its tables are not validated yet."""

    fields: dict[str, Any]
    about: About | None


def built_in_recipes() -> list[str]:
    """Return the names of the built-in recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_recipe(name_or_path: str, *, beside: Path | None = None, extended_by: tuple[str, ...] = ()) -> RecipeFile:
    """Read a built-in recipe or a TOML file, and the recipes that it extends.

    Parameters
    ----------
    name_or_path : str
        Name of a built-in recipe or path of a TOML file.
    beside : Path, optional
        Folder of a relative path.
    extended_by : tuple of str
        The recipes that extend this one.

    Raises
    ------
    MissingFileError, RecipeError
        If there is no such recipe, it is not TOML, its ``[about]`` is invalid, or recipes extend each other in a cycle.
    """
    if name_or_path in built_in_recipes():
        source, folder = name_or_path, None
        fields = read_toml(FOLDER / f"{name_or_path}.toml", RecipeError)
    else:
        path = Path(name_or_path) if beside is None else beside / name_or_path
        if not path.exists() and path.suffix != ".toml":
            raise RecipeError(f"{name_or_path}: neither a built-in recipe nor a TOML file", hint=_meant(name_or_path))
        source, folder = str(path), path.parent
        fields = read_toml(path, RecipeError)
    if source in extended_by:
        raise RecipeError(f"recipes extend each other in a cycle: {' -> '.join((*extended_by, source))}")
    about = None
    if "about" in fields:
        about = validate(About, fields.pop("about"), source=f"{source}: about", error=RecipeError)
    check_version(fields.pop("version", VERSION), VERSION, source=source, what="recipe", error=RecipeError)
    extended = fields.pop("extends", None)
    if extended is None:
        return RecipeFile(fields, about)
    if not isinstance(extended, str):
        raise RecipeError(f"{source}: extends: expected the name or path of one recipe, found {extended!r}")
    base = read_recipe(extended, beside=folder, extended_by=(*extended_by, source))
    if about is not None and base.about is not None:
        about = about.model_copy(update={"limits": base.about.limits + about.limits})
    return RecipeFile(merge_tables(base.fields, fields), about)


def recipes_table() -> Table:
    """Return a table of the built-in recipes with their feature sets, published results and sources."""
    table = Table(title="Built-in recipes")
    table.add_column("recipe", no_wrap=True)
    for column in ("features (presets)", "extract --preset makes", "published average mAP in %", "settings from"):
        table.add_column(column, overflow="fold")
    for name in built_in_recipes():
        about = read_recipe(name).about
        if about is None:
            table.add_row(name, "any, for few short videos", "", "", "asl-kit")
            continue
        table.add_row(
            name,
            "\n".join(f"{about.dataset}/{features}" for features in about.features),
            "\n".join(about.extracted) or "none",
            "\n".join(describe_result(result) for result in about.published),
            about.settings,
        )
    return table


def describe_result(result: PublishedResult) -> str:
    """Return a published result as short text, without its source."""
    features = f" with {result.features}" if result.features else ""
    note = f" ({result.note})" if result.note else ""
    return f"{result.method} {result.average_map:.2f}{features}{note}"


def merge_tables(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return tables with the keys of others added, which take precedence, at every depth."""
    merged = base | own
    for key in base.keys() & own.keys():
        if isinstance(base[key], dict) and isinstance(own[key], dict):
            merged[key] = merge_tables(base[key], own[key])
    return merged


def _meant(name: str) -> str:
    """Return a hint: the recipes for the feature set of this name, or those with a similar name."""
    name, names = name.lower(), built_in_recipes()
    abouts = {recipe: about for recipe in names if (about := read_recipe(recipe).about) is not None}
    close = [
        recipe
        for recipe, about in abouts.items()
        if name.replace("/", "-") in {f"{about.dataset}-{features}" for features in about.features}
    ]
    close = close or close_matches(name, names, n=3) or [other for other in names if other.startswith(name)]
    return (f"did you mean {' or '.join(close)}? " if close else "") + "`asl-kit train --list-recipes` shows all"


def load_recipe(recipe: str | Path | Recipe | None = None, settings: Sequence[str] = ()) -> Recipe:
    """Load a recipe, then apply ``table.key=value`` settings.

    Parameters
    ----------
    recipe : str, Path or Recipe, optional
        Name of a built-in recipe, path of a TOML file, or a recipe; None: the defaults.
    settings : sequence of str
        ``optimizer.epochs=20``: the value is TOML; a bare word is a string.

    Raises
    ------
    RecipeError
        If there is no such recipe, or it has unknown keys or wrong values; the message lists all of them.
    """
    fields: dict[str, Any] = {}
    source = "recipe"
    if isinstance(recipe, Recipe):
        fields = recipe.model_dump(mode="json")
    elif recipe is not None:
        source = str(recipe)
        fields = read_recipe(source).fields
    for setting in settings:
        _apply(fields, setting)
    hint = "`asl-kit train --print-recipe` lists all keys"
    return validate(Recipe, fields, source=source, error=RecipeError, hint=hint)


def _apply(fields: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    *tables, name = key.strip().split(".")
    if not equals or not tables or not name:
        raise RecipeError(f"--set {setting}: expected table.key=value", hint="for example --set optimizer.epochs=20")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for table in tables:
        fields = fields.setdefault(table, {})
        if not isinstance(fields, dict):
            raise RecipeError(f"--set {setting}: {table} is not a table")
    fields[name] = value


def to_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML that can be loaded again, with the documentation of every key as a comment."""
    lines = ["# Version of the format of this file.", f"version = {VERSION}", ""]
    for table_name, table in recipe:
        lines += [f"# {(type(table).__doc__ or '').strip()}", f"[{table_name}]"]
        for key, value in table.model_dump(mode="json").items():
            lines.append(f"# {type(table).model_fields[key].description}")
            # TOML has no null.
            lines.append(f"{key} = {to_toml_value(value)}" if value not in (None, {}) else f"# {key} is not set")
        lines.append("")
    return "\n".join(lines)


def to_toml_value(value: Any) -> str:
    """Return a JSON value as TOML; keys of a table without a value are left out."""
    if isinstance(value, dict):
        pairs = [f"{to_toml_value(key)} = {to_toml_value(own)}" for key, own in value.items() if own is not None]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml_value, value)) + "]"
    # TOML does not know JSON's pairs of escapes for what is beyond 16 bits, and wants one for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
