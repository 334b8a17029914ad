"""The built-in recipes against published configurations (scripts/make_recipe_facts.py) and the manifests."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from asl_kit.cli import main
from asl_kit.manifests.files import load_manifest, manifest_paths
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.files import FOLDER, About, built_in_recipes, load_recipe, read_recipe

FACTS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("recipe_facts.json").read_text(encoding="utf-8"))
RECIPES = [name for name in built_in_recipes() if name != "demo"]
DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"
WITHOUT_RECIPE = {"thumos14/tsn", "activitynet13/tsn-bsn", "charades/vgg16-rgb-opentad"}
"""Feature sets that nobody published an ActionFormer or ASL setting for; docs/recipes.md gives the reasons."""
OTHER_DIMENSIONS = {"thumos14-videomae", "thumos14-slowfast"}
"""Recipes with the settings of a configuration for features of another width."""


def about(name: str) -> About:
    found = read_recipe(name).about
    assert found is not None, f"{name}: no [about]"
    return found


def value(name: str, key: str) -> Any:
    recipe = load_recipe(name)
    table, _, field = key.partition(".")
    found = getattr(getattr(recipe, table), field)
    if key == "inference.candidate_min_score" and found is None:
        return recipe.inference.min_score
    return list(found) if isinstance(found, tuple) else found


def feature_sets(name: str) -> set[str]:
    return {features for streams in about(name).features for features in streams.split(",")}


@pytest.mark.parametrize("name", RECIPES)
def test_values_are_those_of_the_published_configuration(name: str) -> None:
    published = FACTS[about(name).settings]["recipe"]
    assert len(published) > 30
    assert {key: value(name, key) for key in published} == published


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_is_as_large_as_the_published_one(name: str) -> None:
    facts, limits = FACTS[about(name).settings], " ".join(about(name).limits)
    recipe = load_recipe(name, ["sensitivity.instance_level=false"])
    manifest = load_manifest(about(name).dataset)
    dims = [manifest.features[streams].dimensions for streams in about(name).features[0].split(",")]
    if "one projection for both streams" in limits:
        dims = [sum(dims)]
    if manifest.vocabularies:
        learned = recipe.data.vocabulary or next(iter(manifest.vocabularies))
        if isinstance(learned, tuple):  # published is a model of the first alone
            learned = learned[0]
        classes = len(manifest.vocabularies[learned])
    else:
        classes = sum(manifest.expected_classes.values())
    if recipe.data.one_class:
        classes = 1
    length, levels = recipe.data.sequence_length, recipe.model.pyramid_levels
    assert isinstance(length, int)
    assert isinstance(levels, int)
    with torch.device("meta"):
        network = Localizer(recipe, Shape(feature_dims=tuple(dims), sequence_length=length, levels=levels), classes)
    count = sum(parameter.numel() for parameter in network.parameters())
    if "parameters" in facts and name not in OTHER_DIMENSIONS:
        assert count == facts["parameters"]


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_cannot_say_is_among_its_limits(name: str) -> None:
    limits = " ".join(about(name).limits)
    for text in FACTS[about(name).settings]["beyond"]:
        words = {"all levels together": "of all levels together"}.get(text, text)
        assert words in limits


@pytest.mark.parametrize("name", RECIPES)
def test_limits_claim_nothing_that_the_configuration_does_not_have(name: str) -> None:
    beyond = " ".join(FACTS[about(name).settings]["beyond"])
    limits = " ".join(about(name).limits)
    for words in (
        "drops",
        "stops after",
        "CausalTAD",
        "Mamba",
        "every second",
        "of all levels together",
    ):
        if words in limits:
            assert words.removeprefix("of ") in beyond


@pytest.mark.parametrize("name", RECIPES)
def test_every_figure_has_a_source_with_its_commit(name: str) -> None:
    for result in about(name).published:
        assert re.search(r" at [0-9a-f]{7}$|arXiv \d{4}\.\d{5}", result.source)
        assert not result.features or result.features in feature_sets(name)


def test_every_published_configuration_is_used() -> None:
    assert {about(name).settings for name in RECIPES} == set(FACTS)


def test_every_feature_set_of_a_manifest_has_a_recipe_or_a_reason() -> None:
    served = {f"{about(name).dataset}/{features}" for name in RECIPES for features in feature_sets(name)}
    known = {f"{name}/{features}" for name in manifest_paths() for features in load_manifest(name).features}
    assert served <= known
    assert known - served == WITHOUT_RECIPE
    text = DOCUMENT.read_text(encoding="utf-8")
    for features in WITHOUT_RECIPE:
        assert f"`{features}`" in text


@pytest.mark.parametrize("name", RECIPES)
def test_the_header_has_commands_that_can_be_run(name: str) -> None:
    header = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").split("[about]")[0]
    commands = [shlex.split(line[2:]) for line in header.splitlines() if line.startswith("# asl-kit ")]
    stores = []
    if load_recipe(name).data.one_class:  # the classes of detections come from a file
        (_, command, *words) = commands.pop()
        scored = parse(command, words)
        assert scored["video_scores"] is not None
    for _, command, *words in commands[:-1]:
        assert command == "import-features"
        options = parse(command, words)
        dataset, _, features = options["preset"].partition("/")
        assert features in load_manifest(dataset).features
        stores.append((str(options["store"]), features))
        assert dataset == about(name).dataset
    options = parse(commands[-1][1], commands[-1][2:])
    assert options["recipe"] == name
    assert options["features"].split(",") == [store for store, _ in stores]
    if load_recipe(name).data.one_class:
        assert scored["checkpoint"] == (options["out"] / "model.ckpt",)
        assert [scored[key] for key in ("annotations", "features")] == [
            options[key] for key in ("annotations", "features")
        ]
    assert ",".join(features for _, features in stores) == about(name).features[0]
    vocabulary = load_recipe(name).data.vocabulary
    vocabularies = load_manifest(about(name).dataset).vocabularies
    if len(vocabularies) > 1:
        assert vocabulary is not None
        assert {vocabulary} <= vocabularies.keys() if isinstance(vocabulary, str) else vocabulary == tuple(vocabularies)
    else:
        assert vocabulary is None


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_and_the_document_say_which_features_can_be_extracted(name: str) -> None:
    of_dataset = load_manifest(about(name).dataset).features
    made = {features for features in feature_sets(name) if of_dataset[features].backbones}
    assert set(about(name).extracted) == made
    [row] = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    said = row.split("|")[3].strip()
    assert said == ("all" if made == feature_sets(name) else "<br>".join(about(name).extracted) or "none")


def parse(command: str, words: list[str]) -> dict[str, Any]:
    found = main.get_command(main.make_context("asl-kit", [], resilient_parsing=True), command)
    assert found is not None
    return found.make_context(command, words).params


@pytest.mark.parametrize("name", RECIPES)
def test_as_many_stream_widths_as_streams(name: str) -> None:
    widths = load_recipe(name).model.stream_widths
    for streams in about(name).features:
        assert widths is None or len(widths) == len(streams.split(","))


@pytest.mark.parametrize("name", RECIPES)
def test_the_header_and_the_document_state_the_published_figures(name: str) -> None:
    header = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").split("[about]")[0]
    [row] = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    for result in about(name).published:
        assert f"{result.average_map:.2f}" in header
        assert f"{result.method} {result.average_map:.2f}" in row
    for features in about(name).features:
        assert features.replace(",", ", ") in row
