"""Loss terms of other packages: trained, saved, resumed, and their failures told from ours."""

from __future__ import annotations

import importlib
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import assert_same_run, command, curve, run_in_group, weights, words

from asl_kit.errors import AslKitError, PluginError
from asl_kit.model.assignment import Truth
from asl_kit.model.network import Output, Points
from asl_kit.model.objective import Objective
from asl_kit.recipes.files import load_recipe, to_toml
from asl_kit.recipes.schema import Recipe
from asl_train.trainer import Trainer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "example_loss"
CODE = (EXAMPLE / "src" / "boundary_asl_kit" / "__init__.py").read_text(encoding="utf-8")
BOUNDARY = words("loss.terms.boundary.weight=0.5", "loss.terms.boundary.initial_scale=2.0")

Offer = Callable[..., None]
Task = tuple[Path, Path]


@pytest.fixture
def offer(offer_entry_point: Offer) -> Offer:
    return partial(offer_entry_point, group="asl_kit.losses", target="TERM", name="boundary")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return make_task(tmp_path_factory.mktemp("task"))


def remove_packages(tmp_path: Path) -> None:
    """Uninstall what `offer` installed."""
    shutil.rmtree(tmp_path / "site")
    sys.modules.pop("other_package", None)
    importlib.invalidate_caches()


def train(task: Task, out: Path, *more: str) -> None:
    result = run(*command(task, out, "--device", "cpu", *more))
    assert result.exit_code == 0, result.output


def objective_of(keys: dict[str, Any] | None = None) -> Objective:
    term = {} if keys is None else {"boundary": keys}
    return Objective(Recipe.model_validate({"loss": {"terms": term}}), [2])


def losses_of(objective: Objective) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the losses on one level of 8 points with the segment [1, 5), and the predicted offsets, all 1."""
    position = torch.arange(8.0)
    points = Points(position, torch.ones(8), torch.zeros(8), torch.full((8,), math.inf), (8,))
    offsets = torch.ones(1, 8, 2, requires_grad=True)
    logits = torch.zeros(1, 8, 2, requires_grad=True)
    output = Output(
        logits, offsets, torch.ones(1, 8, dtype=torch.bool), points, torch.full((1, 8, 2), 0.5), torch.zeros(1, 4, 8)
    )
    truth = Truth(torch.tensor([[[1.0, 5.0]]]), torch.tensor([[[0]]]), torch.tensor([[True]]))
    return objective(output, truth), offsets


def test_example_adds_its_loss_and_nothing_else_changes(offer: Offer) -> None:
    offer(CODE)
    objective = objective_of({"weight": 0.5, "initial_scale": 2.0})
    losses, offsets = losses_of(objective)
    without, other_offsets = losses_of(objective_of())
    # Points 2, 3 and 4 are positive, with true offsets (1, 3), (2, 2), (3, 1): the errors add up to 6, of 6 boundaries.
    assert losses["boundary"].item() == pytest.approx(1 / 2 + math.log(2 * 2))
    assert losses["total"].item() == pytest.approx(without["total"].item() + 0.5 * losses["boundary"].item())
    for name in without.keys() - {"total"}:
        assert torch.equal(losses[name], without[name])
    losses["total"].backward()
    without["total"].backward()
    gradients, others = offsets.grad, other_offsets.grad
    assert gradients is not None
    assert others is not None
    # d/dx |x - t| / scale, of 6 boundaries, with weight 0.5; all predictions but the exact ones are too small.
    assert (gradients - others)[0, 3] == pytest.approx([-0.5 / 2 / 6] * 2)
    (log_scale,) = objective.terms.parameters()
    # d/ds of error * exp(-s) + s, with errors of start (0, 1, 2) and end (2, 1, 0) of three points
    assert log_scale.grad == pytest.approx([0.5 / 6 * (3 - 3 / 2)] * 2)


def test_example_trains_and_is_in_curve_and_checkpoint(offer: Offer, task: Task, tmp_path: Path) -> None:
    offer(CODE)
    train(task, tmp_path / "run", *BOUNDARY)
    steps = [line for line in curve(tmp_path / "run") if line["group"] == "train"]
    assert steps[-1]["boundary"] < steps[0]["boundary"]
    saved = torch.load(tmp_path / "run" / "model.ckpt", weights_only=True)
    scale = saved["objective"]["terms.0.module.log_scale"]
    assert not torch.equal(scale, torch.full((2,), math.log(2.0)))
    assert saved["recipe"]["loss"]["terms"] == {"boundary": {"weight": 0.5, "initial_scale": 2.0}}
    assert saved["provenance"]["loss_terms"] == {"boundary": "other-package 1.0"}


def test_without_weight_the_run_is_the_run_without_the_term(offer: Offer, task: Task, tmp_path: Path) -> None:
    offer(CODE)
    train(task, tmp_path / "with", "--set", "loss.terms.boundary.weight=0.0")
    train(task, tmp_path / "without")
    lines = curve(tmp_path / "with")
    assert all(line.pop("boundary") > 0 for line in lines if line["group"] == "train")
    assert lines == curve(tmp_path / "without")
    for name, value in weights(tmp_path / "with" / "model.ckpt").items():
        assert torch.equal(value, weights(tmp_path / "without" / "model.ckpt")[name])


def stop_at_save(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Interrupt training as soon as it has saved its state this often."""
    save, saved = Trainer._save_last, []

    def save_and_stop(self: Trainer, curve: Any) -> None:
        save(self, curve)
        saved.append(self.step)
        if len(saved) == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save_last", save_and_stop)


def test_a_resumed_run_is_the_uninterrupted_run(
    offer: Offer, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(CODE)
    train(task, tmp_path / "whole", *BOUNDARY)
    with monkeypatch.context() as patch:
        stop_at_save(patch, 3)
        stopped = run(*command(task, tmp_path / "run", *BOUNDARY, "--set", "run.checkpoint_minutes=1e-6"))
        assert stopped.exit_code == 130, stopped.output
    train(task, tmp_path / "run", *BOUNDARY, "--resume")
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    ours, whole = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["objective"] for name in ("run", "whole")
    )
    assert ours.keys() == whole.keys()
    assert all(torch.equal(value, whole[name]) for name, value in ours.items())


def test_without_the_package_a_model_is_evaluated_but_not_trained_on(offer: Offer, task: Task, tmp_path: Path) -> None:
    offer(CODE)
    train(task, tmp_path / "run", *BOUNDARY)
    remove_packages(tmp_path)
    inputs = ["--annotations", task[0], "--features", task[1]]
    result = run("eval", "--checkpoint", tmp_path / "run" / "model.ckpt", *inputs, "--sensitivity", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    resumed = run(*command(task, tmp_path / "run", *BOUNDARY, "--resume"))
    assert resumed.exit_code == 2
    assert resumed.stderr.splitlines() == [
        "error: recipe: loss.terms.boundary: no installed package provides this loss term",
        "hint: install the package that provides it; installed loss terms: none",
    ]
    # A run that had the term does not go on without it.
    other = run(*command(task, tmp_path / "run", "--resume"))
    assert other.exit_code == 1
    assert "recipe loss.terms: {'boundary': {'weight': 0.5, 'initial_scale': 2.0}} then, {} now" in other.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("loss.terms.boundary.initial_scale=-1.0", "initial_scale: Input should be greater than 0, found -1.0"),
        ("loss.terms.boundary.scale=1.0", "scale: unknown key"),
    ],
)
def test_its_keys_are_checked_before_the_data_are_read(offer: Offer, settings: str, message: str) -> None:
    offer(CODE)
    nowhere = Path("nowhere.json"), Path("nowhere.zarr")
    result = run(*command(nowhere, Path("nowhere"), "--set", settings))
    assert result.exit_code == 2
    who = "error: recipe: loss.terms.boundary (of the package other-package): "
    assert result.stderr.splitlines() == [who + message]
    assert not Path("nowhere").exists()


def test_unknown_terms_name_what_is_meant(offer: Offer) -> None:
    offer(CODE)
    with pytest.raises(AslKitError) as caught:
        Objective(load_recipe(settings=["loss.terms.boundary1.weight=1.0"]), [2])
    assert caught.value.message == "recipe: loss.terms.boundary1: no installed package provides this loss term"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean boundary? install")


def test_a_printed_recipe_loads_again(tmp_path: Path) -> None:
    recipe = load_recipe("demo", ["loss.terms.a.weight=0.5", 'loss.terms.a.b={c=["d", 1.5, true]}', "loss.terms.e={}"])
    (tmp_path / "printed.toml").write_text(to_toml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "printed.toml") == recipe
    assert recipe.loss.terms["e"].weight == 1.0


FAILURES = {
    "module missing": ("import not_there", "cannot be loaded: No module named 'not_there'"),
    "something else": ("TERM = 'boundary'", "must be a LossTerm or return one, found 'boundary'"),
    "another name": (CODE.replace('name="boundary"', 'name="edge"'), "must have the same name in its LossTerm"),
    "nothing to call": (CODE.replace("make=_make", "make=None"), "cannot be loaded: make of a LossTerm must be a func"),
    "settings of another kind": (
        CODE.replace("settings=Settings", "settings=dict"),
        "cannot be loaded: settings of a LossTerm must be a subclass of StrictModel, found <class 'dict'>",
    ),
    "its own weight": (
        CODE.replace("    initial_scale: Ann", "    weight: float = 1.0\n    initial_scale: Ann"),
        "cannot be loaded: settings of a LossTerm must not have the key weight",
    ),
}


@pytest.mark.parametrize(("code", "message"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_loaded_is_one_message_that_names_the_package(
    offer: Offer, task: Task, code: str, message: str, tmp_path: Path
) -> None:
    offer(code)
    result = run(*command(task, tmp_path / "run", *BOUNDARY))
    assert result.exit_code == 1
    who = "error: the loss term 'boundary' (other_package:TERM) of the package other-package "
    assert result.stderr.startswith(who + message)
    assert not (tmp_path / "run" / "model.ckpt").exists()


def test_names_that_are_taken(offer: Offer) -> None:
    offer(CODE, name="contrastive")
    with pytest.raises(AslKitError, match="provides a loss term 'contrastive', which asl-kit also has"):
        Objective(load_recipe(settings=["loss.terms.contrastive.weight=1.0"]), [2])
    offer(CODE, module="first_package")
    offer(CODE, module="second_package")
    with pytest.raises(AslKitError, match="2 packages provide a loss term 'boundary': first-package"):
        objective_of({})


def making(result: str) -> str:
    return CODE.replace("return Boundary(settings.initial_scale)", f"return {result}")


def returning(result: str) -> str:
    return CODE.replace("        errors = (context", f"        return {result}\n        errors = (context")


def test_documented_term_and_recipe_work(offer: Offer, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|toml)\n(.*?)```", text, flags=re.DOTALL)
    (code,) = (block for kind, block in blocks if kind == "python" and "TERM = LossTerm(" in block)
    (recipe,) = (block for kind, block in blocks if kind == "toml" and "[loss.terms.length]" in block)
    offer(code, name="length")
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    losses, _ = losses_of(Objective(load_recipe(tmp_path / "recipe.toml"), [2]))
    assert losses["length"].item() == pytest.approx((4 - 2) ** 2)
    with pytest.raises(AslKitError, match="power: Input should be greater than 0, found 0"):
        Objective(load_recipe(settings=["loss.terms.length.power=0"]), [2])


MISBEHAVING = {
    "makes nothing": (making("None"), "must make an nn.Module, found None"),
    "fails to make": (making("{}['x']"), "failed: KeyError: 'x'"),
    "infinite": (making("Boundary(float('inf'))"), "must have finite parameters and buffers, found log_scale "),
    "raises": (returning("{}['x']"), "failed: KeyError: 'x'"),
    "returns nothing": (returning("None"), "must return a scalar tensor of floats, found None"),
    "a number": (returning("0.5"), "must return a scalar tensor of floats, found 0.5"),
    "of every point": (
        returning("context.offsets.sum(-1)"),
        "must return a scalar tensor of floats, found a tensor of shape (1, 8), torch.float32, on cpu",
    ),
    "whole numbers": (
        returning("context.targets.positive.sum()"),
        "must return a scalar tensor of floats, found a tensor of shape (), torch.int64, on cpu",
    ),
    "elsewhere": (
        returning("torch.zeros((), device='meta', requires_grad=True)"),
        "must return a tensor on cpu, found a tensor of shape (), torch.float32, on meta",
    ),
    "detached": (
        returning("context.offsets.detach().sum()"),
        "must return a tensor with a gradient, found a tensor of shape (), torch.float32, on cpu",
    ),
}


@pytest.mark.parametrize(("code", "message"), MISBEHAVING.values(), ids=MISBEHAVING)
def test_what_misbehaves_is_one_message_that_names_the_package(offer: Offer, code: str, message: str) -> None:
    offer(code)
    with pytest.raises(PluginError) as caught:
        losses_of(objective_of({}))
    assert caught.value.message.startswith(f"the loss term 'boundary' of the package other-package {message}")


def test_a_term_that_fails_ends_training_with_one_message(offer: Offer, task: Task, tmp_path: Path) -> None:
    offer(returning("{}['x']"))
    result = run(*command(task, tmp_path / "run", *BOUNDARY))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-2:] == [
        "error: the loss term 'boundary' of the package other-package failed: KeyError: 'x'",
        "hint: Send its authors the output of `asl-kit --debug train ...`.",
    ]


@pytest.mark.parametrize(
    ("factor", "settings", "what"),
    [
        ("float('nan')", [], "loss term 'boundary' of the package other-package 1.0"),
        ("1.0", ["loss.localization_weight=1e39"], "loss"),
    ],
    ids=["the term", "another loss"],
)
def test_a_term_that_is_not_finite_is_named(
    offer: Offer, task: Task, factor: str, settings: list[str], what: str, tmp_path: Path
) -> None:
    offer(returning(f"context.offsets.sum() * {factor}"))
    result = run(*command(task, tmp_path / "run", *BOUNDARY, *words(*settings)))
    assert result.exit_code == 1
    assert f"error: the {what} is not finite at step 1: {{" in result.stderr
    assert "'boundary': " in result.stderr


def test_memory_that_runs_out_in_a_term_is_said_as_elsewhere(offer: Offer, task: Task, tmp_path: Path) -> None:
    offer(
        CODE.replace(
            "        errors = (context", "        raise torch.OutOfMemoryError('no room')\n        errors = (context"
        )
    )
    result = run(*command(task, tmp_path / "run", *BOUNDARY))
    assert result.exit_code == 1
    assert "cpu: not enough memory: the loss term 'boundary' of the package other-package failed" in result.stderr
    assert "lower optimizer.batch_size" in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_several_processes_train_as_one(offer: Offer, task: Task, tmp_path: Path) -> None:
    offer(CODE)
    processes = 3  # more than videos in a batch
    train(task, tmp_path / "one", *BOUNDARY)
    call = command(task, tmp_path / "several", "--device", "cpu", *BOUNDARY)
    codes, _, stderr = run_in_group(processes, tmp_path / "group", call)
    assert codes == [0] * processes, stderr
    for line, wanted in zip(curve(tmp_path / "several"), curve(tmp_path / "one"), strict=True):
        assert line.pop("group") == wanted.pop("group")
        assert line == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    several, one = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["objective"] for name in ("several", "one")
    )
    for name, value in several.items():
        torch.testing.assert_close(value, one[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_example_installs_and_trains(tmp_path: Path, task: Task) -> None:
    target = tmp_path / "target"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(EXAMPLE)]
    subprocess.run(install, check=True, capture_output=True, text=True, timeout=280)
    done = subprocess.run(
        [sys.executable, "-m", "asl_kit", *command(task, tmp_path / "run", "--device", "cpu", *BOUNDARY)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    saved = torch.load(tmp_path / "run" / "model.ckpt", weights_only=True)
    assert saved["provenance"]["loss_terms"] == {"boundary": "boundary-asl-kit 1.0.0"}
