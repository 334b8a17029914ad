"""Every process that computes features takes its device from `use_device`, where its arithmetic is set up."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.extraction import make_extractor
from helpers.support import write_model

import asl_extract
import asl_kit.prediction
from asl_extract import extractor
from asl_extract.executors import devices, ray_cluster
from asl_extract.executors.base import Job
from asl_extract.executors.in_process import InProcess
from asl_extract.settings import ExtractionSettings, RunOptions
from asl_kit.prediction import devices as prediction_devices
from asl_kit.store import FeatureStore

SETTINGS = {"backbone": "x3d_xs", "weights": "random", "frame_size": 32, "precision": "float32"}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    settings = ExtractionSettings(**SETTINGS)  # type: ignore[arg-type]
    FeatureStore.open_or_create(tmp_path / "store", make_extractor(**SETTINGS).spec)
    return Job(tmp_path / "store", settings, RunOptions(workers=0))


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record where an extractor takes its device from."""
    names: list[str] = []
    original = extractor.use_device

    def choose(name: str) -> torch.device:
        names.append(name)
        return original(name)

    monkeypatch.setattr(extractor, "use_device", choose)
    return names


def connection() -> Any:
    """Return the pipe of a coordinator that has no videos."""
    sent: list[Any] = []
    return SimpleNamespace(send=sent.append, recv=lambda: None, sent=sent)


def in_this_process(job: Job, folder: Path) -> None:
    InProcess("cpu").prepare(job)


def in_a_devices_process(job: Job, folder: Path) -> None:
    pipe = connection()
    devices._run(pipe, "cpu", job)
    assert pipe.sent == [("get", None)]


def in_a_ray_actor(job: Job, folder: Path) -> None:
    asked = SimpleNamespace(remote=lambda worker: (None, False))
    ray_cluster._RayWorker().run("actor 1", job, SimpleNamespace(get=asked))


def in_a_devices_process_of_predict(job: Job, folder: Path) -> None:
    write_model(folder / "model.ckpt", make_extractor(**SETTINGS).spec)
    pipe = connection()
    prediction_devices._run(pipe, "cpu", folder / "model.ckpt", {}, 0, None)
    assert pipe.sent == [("get", None)]


@pytest.mark.parametrize(
    ("process", "device"),
    [
        (in_this_process, "cpu"),
        (in_a_devices_process, "cpu"),
        (in_a_ray_actor, "auto"),
        (in_a_devices_process_of_predict, "cpu"),
    ],
)
def test_processes(
    process: Callable[[Job, Path], None],
    device: str,
    job: Job,
    chosen: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda value: value))
    process(job, tmp_path)
    assert chosen[-1] == device


def test_no_other_code_makes_a_device_of_a_name() -> None:
    """`decoding.threads` is given the name of the one that was chosen in its process."""
    places = {
        path.name
        for package in (asl_extract, asl_kit.prediction)
        for path in Path(str(package.__file__)).parent.rglob("*.py")
        if re.search(r'torch\.device\((?!"meta")|\.cuda\(\)', path.read_text())
    }
    assert places == {"threads.py"}
