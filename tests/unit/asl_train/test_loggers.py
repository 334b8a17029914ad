"""Loggers: what they get, that a run keeps its id, and that one that fails does not stop training.

Stand-ins take the place of the packages; the tests with `real` in their name use them, and are skipped without them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import command, curve

from asl_kit.errors import MissingDependencyError
from asl_train import loggers
from asl_train.loggers import Loggers, check_loggers

CONFIG = {"optimizer": {"epochs": 3}, "loss": {"terms": {}}}


class Wandb(ModuleType):
    """A stand-in for the package."""

    def __init__(self, fails: str = "") -> None:
        super().__init__("wandb")
        self.calls: list[tuple[str, Any]] = []
        self._fails = fails
        self.Settings = SimpleNamespace

    def init(self, **options: Any) -> Wandb:
        return self._record("init", options)

    def define_metric(self, *names: str, **options: str) -> None:
        self._record("define_metric", options)

    def log(self, values: dict[str, float]) -> None:
        self._record("log", values)

    def finish(self, exit_code: int) -> None:
        self._record("finish", exit_code)

    def _record(self, name: str, value: Any) -> Wandb:
        if name == self._fails:
            raise ConnectionError("the network\nis gone")
        self.calls.append((name, value))
        return self

    def got(self, name: str) -> list[Any]:
        return [value for called, value in self.calls if called == name]


def test_wandb_gets_every_value_and_a_resumed_run_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for after_step in (0, 2):
        log = Loggers(["wandb"], tmp_path, CONFIG, after_step)
        log.add({"train/total": 0.5}, after_step + 1)
        log.flush()
        log.close(failed=after_step == 0)
    first, second = wandb.got("init")
    assert first["id"] == second["id"]
    assert (first["resume"], first["dir"], first["config"]) == ("allow", str(tmp_path), CONFIG)
    assert wandb.got("log") == [{"train/total": 0.5, "step": 1}, {"train/total": 0.5, "step": 3}]
    assert wandb.got("finish") == [1, 0]


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_a_logger_that_fails_is_named_once_and_training_goes_on(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = Wandb(call)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr(loggers, "find_spec", lambda name: name)
    setting = 'run.loggers=["wandb","tensorboard"]'
    result = run(*command(make_task(tmp_path), tmp_path / "run", "--set", setting, "--set", "optimizer.epochs=1"))
    assert result.exit_code == 0, result.output
    warning = (
        "warning: run.loggers: wandb fails and is left out from now on; curve.jsonl has all values: the network is"
    )
    assert result.stderr.count(warning) == 1
    assert len(curve(tmp_path / "run")) > 2
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    if call == "log":
        assert not wandb.got("log")


def test_a_full_disk_for_tensorboard_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorboard").touch()  # where its folder should be
    log = Loggers(["tensorboard"], tmp_path, CONFIG, 0)
    log.add({"train/total": 0.5}, 1)
    log.close(failed=False)
    assert capsys.readouterr().err.count("run.loggers: tensorboard fails") == 1


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_package_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=f"the package {name} is not installed") as fault:
        check_loggers([name])
    assert fault.value.hint == f"pip install 'asl-kit[{name}]'"


def test_unknown_loggers_are_refused(tmp_path: Path) -> None:
    result = run("train", "--print-recipe", "--set", 'run.loggers=["comet"]')
    assert result.exit_code == 2
    assert "run.loggers.0: Input should be 'tensorboard', 'wandb' or 'mlflow', found 'comet'" in result.stderr


def test_real_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'asl-kit[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for after_step in (0, 2):
        log = Loggers(["wandb"], tmp_path, CONFIG, after_step)
        log.add({"train/total": 0.5}, after_step + 1)
        log.close(failed=False)
    runs = sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert len({name.rpartition("-")[2] for name in runs}) == 1
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))


def test_real_mlflow_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'asl-kit[mlflow]'")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for after_step, failed in ((0, True), (2, False)):
        log = Loggers(["mlflow"], tmp_path, CONFIG, after_step)
        log.add({"train/total": 0.5 + after_step}, after_step + 1)
        log.flush()
        log.add({"validation/average mAP of weights": 0.25}, after_step + 1)
        log.close(failed=failed)
    from mlflow.tracking import MlflowClient

    client = MlflowClient((tmp_path / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("asl-kit")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params == {"optimizer.epochs": "3"}
    history = client.get_metric_history(found.info.run_id, "train/total")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (3, 2.5)]
