"""Weights of a trained model as the start of another run: what is taken, what is new, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import run
from helpers.support import make_spec, make_task, write_model
from helpers.training_runs import command

from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.errors import CheckpointError
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.schema import Recipe
from asl_kit.store.spec import ExtractionSpec
from asl_train.starting_weights import StartingWeights
from asl_train.trainable_model import TrainableModel

SMALL = {"width": 16, "attention_heads": 2, "attention_window": 3, "stem_blocks": 1}
A, B = make_spec(feature_dim=4), make_spec(backbone="r3d_18", feature_dim=6)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # cells are not wrapped


def untrained(
    *specs: ExtractionSpec, vocabularies: Mapping[str, Sequence[str]], levels: int = 3, **model: Any
) -> TrainableModel:
    recipe = Recipe.model_validate({"model": SMALL | model, "optimizer": {"encoder_learning_rate_share": 0.1}})
    shape = Shape(feature_dims=tuple(spec.feature_dim for spec in specs), sequence_length=32, levels=levels)
    torch.manual_seed(1)
    sizes = [len(names) for names in vocabularies.values()]
    return TrainableModel(Localizer(recipe, shape, sum(sizes)), recipe, sizes, torch.float32)


def start(
    path: Path, *specs: ExtractionSpec, classes: Sequence[str] = ("jump", "run"), levels: int = 3, **model: Any
) -> tuple[TrainableModel, dict[str, torch.Tensor]]:
    """Return a model that starts from a checkpoint, and the checkpoint's weights."""
    vocabularies = {"action": tuple(classes)}
    started = untrained(*specs, vocabularies=vocabularies, levels=levels, **model)
    StartingWeights(path).load(started, vocabularies, specs)
    return started, dict(load_checkpoint(path).weights)


def test_the_same_network_takes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started, expected = start(write_model(tmp_path / "model.ckpt", A), A)
    assert started.average is not None
    for network in (started.network, started.average.network):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)
    text = capsys.readouterr().err
    assert "classes: 2 taken: jump, run" in text
    assert "warning" not in text


def test_class_rows_are_taken_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_model(tmp_path / "model.ckpt", A, classes=("jump", "run", "sit"))
    started, known = start(path, A, classes=("stand", "sit", "jump"))
    last = "classification_head.last.conv.weight"
    rows = started.network.state_dict()[last]
    assert torch.equal(rows[1], known[last][2])
    assert torch.equal(rows[2], known[last][0])
    assert torch.equal(rows[0], untrained(A, vocabularies={"action": ("a", "b", "c")}).network.state_dict()[last][0])
    assert "classes: 2 taken: sit, jump; 1 new: stand; 1 left out: run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one_class", "said"),
    [(True, "classes: 1 taken: action"), (False, "; 1 left out: action")],
    ids=["one class again", "named classes"],
)
def test_a_model_of_one_class(one_class: bool, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its one output is none of the dataset's classes."""
    task = make_task(tmp_path, videos=4)
    one, epochs = ["--set", "data.one_class=true"], ["--set", "optimizer.epochs=1"]
    assert run(*command(task, tmp_path / "one", *one, *epochs)).exit_code == 0
    start_from = ["--start-from", tmp_path / "one" / "model.ckpt"]
    result = run(*command(task, tmp_path / "run", *(one if one_class else []), *epochs, *start_from))
    assert result.exit_code == 0, result.output
    assert said in result.stderr


def test_boundary_scores_are_taken_by_class(tmp_path: Path) -> None:
    trident: dict[str, Any] = {"head": "trident", "trident_bins": 3, "encoder": "sgp"}
    path = write_model(tmp_path / "model.ckpt", A, classes=("jump", "run", "sit"), **trident)
    started, known = start(path, A, classes=("stand", "sit", "jump"), **trident)
    for name, value in started.network.state_dict().items():
        if name.startswith(("localization_head.start.last", "localization_head.end.last", "classification_head.last")):
            assert torch.equal(value[1:], known[name][[2, 0]])
        else:
            assert torch.equal(value, known[name])


def test_another_encoder_and_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The projection and the classifier are taken, the rest is told."""
    started, known = start(write_model(tmp_path / "model.ckpt", A), A, encoder="sgp", head="trident")
    taken = {name for name, value in started.network.state_dict().items() if torch.equal(value, known.get(name, value))}
    assert {"projection.0.conv.weight", "classification_head.last.conv.weight"} <= taken
    text = capsys.readouterr().err
    assert "model.encoder attention there, sgp here, model.head offsets there, trident here" in text
    assert "(2, 16, 3) there, (34, 16, 3) here" in text


def test_classes_of_several_vocabularies(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.ckpt", A, classes=("cut", "wash"))
    saved = torch.load(path, weights_only=True)
    torch.save(saved | {"vocabularies": {"verb": ["cut"], "noun": ["wash"]}}, path)
    vocabularies = {"noun": ("cut", "wash"), "verb": ("cut",)}
    started = untrained(A, vocabularies=vocabularies)
    before = started.network.classification_head.last_bias.clone() + 1
    with torch.no_grad():
        started.network.classification_head.last_bias.copy_(before)
    StartingWeights(path).load(started, vocabularies, [A])
    bias, known = started.network.classification_head.last_bias, saved["weights"]["classification_head.last.conv.bias"]
    assert bias.tolist() == [before[0].item(), known[1].item(), known[0].item()], "the noun 'cut' is not the verb"


@pytest.mark.parametrize("levels", [2, 5])
def test_another_pyramid(levels: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started, known = start(write_model(tmp_path / "model.ckpt", A), A, levels=levels)
    found = started.network.state_dict()
    name = "branch.0.mlp.0.conv.weight" if "branch.0.mlp.0.conv.weight" in found else "pyramid_norms.1.weight"
    assert torch.equal(found[name], known[name])
    assert f"3 pyramid levels there, {levels} here" in capsys.readouterr().err


def test_streams_in_another_order_and_one_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_model(tmp_path / "model.ckpt", A, B)
    started, known = start(path, B, A)
    found = started.network.state_dict()
    assert torch.equal(found["streams.0.conv.weight"], known["streams.1.conv.weight"])
    swapped = torch.cat([known["projection.0.conv.weight"][:, 8:], known["projection.0.conv.weight"][:, :8]], dim=1)
    assert torch.equal(found["projection.0.conv.weight"], swapped)
    mask = torch.ones(1, 24, dtype=torch.bool)
    one, other = torch.randn(1, 24, 4), torch.randn(1, 24, 6)
    expected = load_checkpoint(path).build()(torch.cat([one, other], 2), mask).logits
    torch.testing.assert_close(started.network.eval()(torch.cat([other, one], 2), mask).logits, expected)

    third = make_spec(backbone="x3d_m", feature_dim=3)
    start(path, B, third, A)
    text = capsys.readouterr().err
    assert "feature stream 2 was made by x3d_m random, and the checkpoint was trained on" in text
    assert "projection" in text


def test_features_of_another_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_spec(backbone="r3d_18")  # as wide as those of the checkpoint
    started, known = start(write_model(tmp_path / "model.ckpt", A), other)
    found = started.network.state_dict()
    assert not torch.equal(found["projection.0.conv.weight"], known["projection.0.conv.weight"])
    assert torch.equal(found["projection.1.conv.weight"], known["projection.1.conv.weight"])
    assert "its input layers start untrained" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "known", "text"),
    [
        (make_spec(stride_frames=8), A, "stride_frames: 4 against 8"),
        (make_spec(backbone="imported", weights="unnamed"), make_spec(backbone="imported", weights="unnamed"), "name"),
    ],
    ids=["another stride", "imported without a name"],
)
def test_features_of_the_same_network_made_differently(
    spec: ExtractionSpec, known: ExtractionSpec, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started, weights = start(write_model(tmp_path / "model.ckpt", known), spec)
    name = "projection.0.conv.weight"
    assert torch.equal(started.network.state_dict()[name], weights[name])
    assert text in capsys.readouterr().err


def test_one_stream_and_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started, known = start(write_model(tmp_path / "model.ckpt", A), A, B)
    assert torch.equal(started.network.state_dict()["projection.1.conv.weight"], known["projection.1.conv.weight"])
    assert "1 feature stream there, 2 here" in capsys.readouterr().err


def test_a_deeper_head_takes_what_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(write_model(tmp_path / "model.ckpt", A), A, head_layers=4)
    text = capsys.readouterr().err
    assert "model keys that differ: model.head_layers 3 there, 4 here" in text
    assert "the checkpoint lacks it" in text


def test_nothing_fits(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing of it fits the network of this run") as fault:
        start(write_model(tmp_path / "model.ckpt", A), A, width=32)
    assert fault.value.hint == "the recipe decides the shape: model.width 16 there, 32 here"


def test_the_encoder_learns_at_its_share_of_the_rate(tmp_path: Path) -> None:
    model = untrained(A, vocabularies={"action": ("jump", "run")})
    groups = {id(p): group for group in model.optimizer.param_groups for p in group["params"]}
    shares = {name: groups[id(p)]["learning rate share"] for name, p in model.network.named_parameters()}
    heads = {name for name, share in shares.items() if share == 1}
    assert {share for name, share in shares.items() if name not in heads} == {0.1}
    assert {name.split(".")[0] for name in heads} == {
        "classification_head", "localization_head", "offset_scale",
        "classification_sensitivity", "localization_sensitivity",
    }  # fmt: skip
    decays = {name for name, p in model.network.named_parameters() if groups[id(p)]["weight_decay"]}
    assert {"projection.0.conv.weight", "classification_head.last.conv.weight"} <= decays
    assert not {name for name in decays if name.endswith("bias")}
