"""Study files: what a run gets from which table, and what is said about wrong keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl_kit.errors import AslKitError
from asl_kit.study.settings import read_study

SETS = '[sets.kitchen]\nannotations = "a.json"\nfeatures = "f.zarr"\n'
WHOLE = """
[study]
seeds = [3, 5]
optimizer.epochs = 7
model.width = 64

[sets.kitchen]
annotations = "kitchen/a.json"
features = ["kitchen/f.zarr", "kitchen/g.zarr"]
recipe = "own.toml"
scoring.tiou = "0.5:0.7:0.1"
optimizer.learning_rate = 1e-3

[sets.garden]
annotations = "a.json"
features = "f.zarr"
optimizer.epochs = 9

[variants.plain]
sensitivity = {class_level = false, instance_level = false}

[variants."as published"]
"sensitivity.mode" = "paper"
"inference.sensitivity_power" = 0
optimizer.epochs = 11
start_from = "start/{set}-{seed}.ckpt"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, "utf-8")
    return path


def test_every_run_gets_its_settings(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[loss]\ncenter_radius = 2.5\n[optimizer]\nepochs = 99\n")
    (tmp_path / "start").mkdir()
    for name in ("kitchen-3", "kitchen-5", "garden-3", "garden-5"):
        (tmp_path / "start" / f"{name}.ckpt").touch()
    study = read_study(write(tmp_path, WHOLE))
    assert [(run.seed, run.set_name, run.variant) for run in study.runs] == [
        (seed, name, variant)
        for seed in (3, 5)
        for name in ("kitchen", "garden")
        for variant in ("plain", "as published")
    ]
    plain, published, garden, _ = study.runs[:4]
    assert plain.annotations == tmp_path / "kitchen" / "a.json"
    assert plain.features == (tmp_path / "kitchen" / "f.zarr", tmp_path / "kitchen" / "g.zarr")
    assert plain.scoring.tiou == "0.5:0.7:0.1"
    assert (plain.recipe.run.seed, plain.recipe.model.width, plain.recipe.loss.center_radius) == (3, 64, 2.5)
    assert (plain.recipe.optimizer.epochs, plain.recipe.optimizer.learning_rate) == (7, 1e-3)
    assert (garden.recipe.optimizer.epochs, garden.recipe.loss.center_radius) == (9, 1.5)
    assert not plain.recipe.sensitivity.class_level
    assert published.recipe.sensitivity.class_level
    assert (published.recipe.sensitivity.mode, published.recipe.inference.sensitivity_power) == ("paper", 0)
    assert published.recipe.optimizer.epochs == 11
    assert (plain.start_from, published.start_from) == (None, tmp_path / "start" / "kitchen-3.ckpt")
    assert (study.baseline, study.score) == ("plain", "average mAP")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sets", "study.toml: not a TOML file"),
        ("version = 2\n" + SETS, "study.toml: study format version is 2, this asl-kit reads version 1"),
        (SETS, "study.toml: variants: missing"),
        (SETS + "[variant.a]\n", "study.toml: 2 errors\n  variants: missing\n  variant: unknown key"),
        ("[variants.a]\n[sets.kitchen]\nfeatures = 3", "sets.kitchen.annotations: missing"),
        (SETS + "[variants.a]\nepochs = 3", "study.toml: variants.a.epochs: unknown key"),
        (SETS + "[variants.a]\noptimiser.epochs = 3", "study.toml: variants.a.optimiser: unknown key"),
        (
            SETS + "[variants.a]\n'optimizer.epoch' = 3\nmodel.width = 0",
            "study.toml: variant 'a' of set 'kitchen': 2 errors\n  model.width: Input should be greater than",
        ),
        (SETS + "[variants.a]\noptimizer = 3", "study.toml: variants.a.optimizer: Input should be a valid dictionary"),
        (SETS + "[variants.a]\n[study]\nseeds = []", "study.toml: study.seeds: Tuple should have at least 1 item"),
        (SETS + "[variants.a]\n[study]\nseeds = [1, 1]", "study.toml: study: seeds must not contain duplicates"),
        (SETS + "[variants.a]\n[study]\nbaseline = 'b'", "study.baseline must be one of the variants: a"),
        (SETS + "scoring.tiou = 'high'\n[variants.a]", "sets.kitchen.scoring: --tiou: expected LO:HI:STEP"),
        (SETS + "recipe = 'no'\n[variants.a]", "study.toml: sets.kitchen.recipe: no: neither a built-in recipe nor"),
        (SETS + "[variants.a]\nstart_from = 'no.ckpt'", "no.ckpt: no such file"),
    ],
    ids=[
        "not TOML", "version", "no variants", "misspelt table", "no annotations", "recipe key without table",
        "misspelt recipe table", "recipe keys", "not a table", "no seeds", "a seed twice", "baseline", "scoring",
        "recipe", "starting weights",
    ],
)  # fmt: skip
def test_wrong_keys(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AslKitError) as fault:
        read_study(write(tmp_path, text))
    assert message in fault.value.message
    assert fault.value.exit_code == 2
