"""Recipes: typed, all faults at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl_kit.errors import MissingFileError, RecipeError
from asl_kit.recipes.files import built_in_recipes, load_recipe, to_toml
from asl_kit.recipes.schema import Recipe


def test_every_built_in_recipe_loads() -> None:
    names = built_in_recipes()
    assert "demo" in names
    for name in names:
        assert isinstance(load_recipe(name), Recipe)


def test_every_key_is_explained_and_a_printed_recipe_loads_again(tmp_path: Path) -> None:
    recipe = load_recipe("demo", ["data.crop_ratio=[0.8, 1.0]", "model.stream_widths=[64, 64]"])
    text = to_toml(recipe)
    assert "None" not in text, "a key without documentation"
    (tmp_path / "printed.toml").write_text(text, encoding="utf-8")
    assert load_recipe(str(tmp_path / "printed.toml")) == recipe


def test_settings_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[optimizer]\nepochs = 3\n", encoding="utf-8")
    recipe = load_recipe(
        str(path), ["optimizer.epochs=7", "data.train_split=part one", "sensitivity.class_level=false"]
    )
    assert recipe.optimizer.epochs == 7
    assert recipe.data.train_split == "part one"
    assert not recipe.sensitivity.class_level
    assert recipe.sensitivity.instance_level


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[optimizer]\nlerning_rate = 1e-3\nepochs = 0\n[model]\nwidth = 30\nattention_heads = 4\n[modle]\n",
        encoding="utf-8",
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    message = caught.value.message
    assert "4 errors" in message
    assert str(path) in message
    parts = (
        "optimizer.lerning_rate: unknown key",
        "optimizer.epochs",
        "width must be a multiple",
        "modle: unknown key",
    )
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nosuch", [], "neither a built-in recipe nor a TOML file"),
        (None, ["epochs=3"], "expected table.key=value"),
        (None, ["optimizer.epochs"], "expected table.key=value"),
        (None, ["optimizer.ema_decay=1.0"], "optimizer.ema_decay"),
        (None, ["model.attention_window=4"], "attention_window must be odd"),
        (None, ["model.attention_window=[5, 4]", "model.pyramid_levels=2"], "attention_window must be odd"),
        (None, ["model.attention_window=[5, 5]"], "attention_window is a list of 2: pyramid_levels must be 2"),
        (None, ["model.encoder=sgp", "model.sgp_window=4"], "sgp_window must be odd"),
        (None, ["model.encoder=sgp", "model.sgp_window=[5, 5]"], "sgp_window is a list of 2: pyramid_levels must be 2"),
        (None, ["model.encoder=sgp", "model.width=100"], "width must be a multiple of 16 with encoder"),
        (None, ["model.encoder=maxpool"], "stem_blocks must be 0 with encoder"),
        (None, ["model.trident_kernel=2"], "trident_kernel must be odd"),
        (None, ["model.head_kernel=2"], "head_kernel must be odd"),
        (None, ["model.head=tridents"], "model.head: "),
        (None, ["model.stream_widths=[100, 100]"], "must add up to width"),
        (None, ["optimizer.epochs=true"], "optimizer.epochs: .*found True"),
        (None, ["optimizer.learning_rate=true"], "optimizer.learning_rate: .*found True"),
        (None, ["model.head_layers=1_000_000_000_000"], "model.head_layers: .*found 1000000000000"),
        (None, ['data.train_split=["train", "train"]'], "train_split must not contain duplicates"),
        (None, ["data.train_split=[]"], "data.train_split"),
        (None, ["data.one_class=true", 'data.vocabulary=["verb", "noun"]'], "with one_class, vocabulary must be one"),
        (None, ["inference.nms_sigma=1e-310"], "inference.nms_sigma: .*found 1e-310"),
    ],
)
def test_wrong_recipes_are_refused(name: str | None, settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(name, settings)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"absent.toml: no such file"):
        load_recipe(str(tmp_path / "absent.toml"))


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[optimizer\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"broken.toml: not a TOML file"):
        load_recipe(str(path))
