"""Layers, modules, functions and files that documents, docstrings and comments name are those of the code."""

from __future__ import annotations

import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "pyproject.toml")),
    *(
        path
        for folder in ("asl_kit", "extract", "train", "evaluate", "docs", "manifests", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".toml"} and path != Path(__file__)
    ),
]
NOT_MODULES = {
    "asl_kit.backbones",  # groups of entry points
    "asl_kit.converters",
    "asl_kit.losses",
    "asl_kit.protocols",
    "asl_kit.redirection",  # a key of click's context
    "asl_kit.vocabularies",  # a key of a JSON file
}
ROOTS = [ROOT / folder for folder in (".", "extract", "train", "evaluate")]
FOLDERS = ("asl_kit", "asl_extract", "asl_train", "asl_evaluate", "tests", "docs/site")


def mentions(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield every match of a pattern, with the file that holds it."""
    for path in SOURCES:
        for name in re.findall(pattern, path.read_text(encoding="utf-8")):
            yield name, path.relative_to(ROOT).as_posix()


def is_defined(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (AttributeError, ImportError):  # a module may need an extra that is not installed
        return any((root / name.replace(".", "/")).with_suffix(".py").exists() for root in ROOTS)
    return True


def test_the_documented_layers_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [layer.replace("asl_kit.", "").split(" | ") for layer in contracts[0]["layers"]]
    section = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Layers")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert [re.findall(r"`(\w+)`", cell) for cell in rows] == layers


def test_every_module_is_in_a_layer() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Layers")[2]
    modules = {module.name for module in pkgutil.iter_modules([str(ROOT / "asl_kit")])} - {"__main__"}
    assert modules <= set(re.findall(r"`(\w+)`", section))


def test_named_modules_and_functions_exist() -> None:
    found = {
        (name, place)
        for name, place in mentions(r"(?<![\w./-])asl_(?:kit|extract|train|evaluate)(?:\.[a-zA-Z_]\w*)+")
        if name not in NOT_MODULES and "Nothing" not in name and "detekt" not in name
    }
    assert len(found) > 500
    defined = {name: is_defined(name) for name in {name for name, _ in found}}
    assert sorted(mention for mention in found if not defined[mention[0]]) == []


def test_named_files_exist() -> None:
    found = set(mentions(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:py|md|toml|yml)\b"))
    found = {(name, place) for name, place in found if "NAME" not in name}
    assert len(found) > 20
    assert sorted(mention for mention in found if not any((root / mention[0]).exists() for root in ROOTS)) == []
