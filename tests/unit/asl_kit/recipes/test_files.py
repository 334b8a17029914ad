"""Recipe files: what they extend, what they say of themselves, and what is said to those who mistype a name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from helpers.command_line import run
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.errors import MissingFileError, RecipeError
from asl_kit.recipes.files import (
    built_in_recipes,
    describe_result,
    load_recipe,
    read_recipe,
    recipes_table,
    to_toml_value,
)

ABOUT = '[about]\ndataset = "thumos14"\nfeatures = ["i3d"]\nsettings = "x"\n'


def write(folder: Path, **files: str) -> Path:
    """Write recipes; return the path of the last one."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / f"{name}.toml"


def test_a_recipe_starts_from_the_one_it_extends(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="[optimizer]\nepochs = 3\nbatch_size = 7\n[model]\nwidth = 64\n",
        middle='extends = "base.toml"\n[optimizer]\nepochs = 4\n',
        own='extends = "middle.toml"\n[data]\nstandardize = false\n[optimizer]\nbatch_size = 5\n',
    )
    recipe = load_recipe(str(path), ["model.attention_heads=2"])
    assert (recipe.optimizer.epochs, recipe.optimizer.batch_size) == (4, 5)
    assert (recipe.model.width, recipe.model.attention_heads) == (64, 2)
    assert not recipe.data.standardize


def test_a_file_of_ones_own_extends_a_built_in_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(str(write(tmp_path, mine='extends = "thumos14-i3d"\n[optimizer]\nepochs = 4\n')))
    assert recipe.optimizer.epochs == 4
    assert recipe.model == load_recipe("thumos14-i3d").model


def test_limits_add_up_and_the_rest_of_about_is_the_files_own(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base=ABOUT + 'limits = ["one"]\n[[about.published]]\nmethod = "M"\naverage_map = 5.0\nsource = "s"\n',
        own='extends = "base.toml"\n' + ABOUT + 'limits = ["two"]\n',
    )
    about = read_recipe(str(path)).about
    assert about is not None
    assert about.limits == ("one", "two")
    assert about.published == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": 'extends = "b.toml"', "b": 'extends = "a.toml"'}, r"in a cycle: .*b\.toml -> .*a\.toml -> .*b\.toml"),
        ({"a": 'extends = "a.toml"'}, r"in a cycle"),
        ({"a": "extends = 3"}, r"a\.toml: extends: expected the name or path of one recipe, found 3"),
        ({"a": 'extends = "thumos14-i3"'}, r"thumos14-i3: neither a built-in recipe nor a TOML file"),
        ({"a": ABOUT + "titel = 1"}, r"a\.toml: about: titel: unknown key"),
        ({"a": 'extends = "demo"\n[optimizer]\nepoks = 3'}, r"a\.toml: optimizer\.epoks: unknown key"),
    ],
    ids=["cycle", "itself", "number", "unknown", "about", "key"],
)
def test_wrong_files_are_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(write(tmp_path, **files)))


def test_a_missing_file_that_is_extended_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"absent\.toml: no such file"):
        load_recipe(str(write(tmp_path, a='extends = "absent.toml"')))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("thumos14-i3", "thumos14-i3d"),
        ("THUMOS14-I3D", "did you mean thumos14-i3d or "),
        ("THUMOS14/VideoMAE-H", "did you mean thumos14-videomae?"),
        ("thumos14-videomae-h", "did you mean thumos14-videomae?"),
        ("thumos14/videomae-h", "did you mean thumos14-videomae?"),
        (
            "epic-kitchens-slowfast-actionformer",
            "did you mean epic-kitchens-slowfast or epic-kitchens-slowfast-noun or epic-kitchens-slowfast-noun-tridet"
            " or epic-kitchens-slowfast-verb or epic-kitchens-slowfast-verb-tridet?",
        ),
        ("hacs", "hacs-slowfast"),
        ("zzz", "`asl-kit train --list-recipes`"),
    ],
)
def test_an_unknown_name_is_answered_with_the_likely_ones(name: str, meant: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    assert meant in (caught.value.hint or "")


def test_the_table_lists_every_recipe_with_its_figures() -> None:
    table = recipes_table()
    rows = dict(
        zip(table.columns[0].cells, zip(*(column.cells for column in table.columns[1:]), strict=True), strict=True)
    )
    assert list(rows) == built_in_recipes()
    features, extracted, figures, settings = rows["thumos14-i3d"]
    assert features == "thumos14/i3d-actionformer"
    assert extracted == "i3d-actionformer"
    assert rows["charades-i3d"][1] == "none"
    assert figures == "ASL 67.90\nActionFormer 66.83"
    assert settings == "ActionFormer configs/thumos_i3d.yaml at 61ea7eb"
    about = read_recipe("activitynet13-tsp").about
    assert about is not None
    assert describe_result(about.published[0]) == "ActionFormer 36.56 (external scores fused)"


def test_the_command_lists_recipes_and_answers_an_unknown_name() -> None:
    listed = run("train --list-recipes")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in built_in_recipes())
    refused = run("train --recipe thumos14-i3 --print-recipe")
    assert refused.exit_code == 2
    assert "neither a built-in recipe nor a TOML file" in refused.stderr
    assert "did you mean thumos14-i3d" in refused.stderr


@given(
    st.recursive(
        st.text() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(-1e9, 1e9),
        lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    )
)
def test_what_is_written_as_toml_is_read_again(value: object) -> None:
    assert tomllib.loads(f"key = {to_toml_value(value)}")["key"] == value
