"""How many runs are done at once, and on what; runs whose processes die or are stopped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.acted_runs import act

from asl_kit.errors import UsageError
from asl_kit.study import executors
from asl_kit.study.executors import Places, choose_places, do_here


@pytest.mark.parametrize(
    ("device", "gpus", "cores", "jobs", "runs", "expected"),
    [
        ("auto", 0, 2, None, 9, Places(("cpu",) * 2, 1)),
        ("auto", 0, 16, None, 9, Places(("cpu",) * 4, 4)),
        ("auto", 0, 16, 8, 9, Places(("cpu",) * 8, 2)),
        ("auto", 0, 2, 3, 9, Places(("cpu",) * 3, 1)),
        ("auto", 0, 8, None, 1, Places(("cpu",), 8)),
        ("auto", 2, 16, None, 9, Places(("cuda:0", "cuda:1"), 8)),
        ("auto", 2, 16, 3, 9, Places(("cuda:0", "cuda:1", "cuda:0"), 5)),
        ("cuda:1", 2, 16, None, 9, Places(("cuda:1",), 16)),
        ("cpu", 2, 4, None, 9, Places(("cpu",) * 4, 1)),
    ],
    ids=["two cores", "many cores", "as asked", "more than cores", "one run", "GPUs", "shared", "one GPU", "CPU"],
)
def test_places(
    device: str, gpus: int, cores: int, jobs: int | None, runs: int, expected: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert choose_places(device, jobs, runs) == expected


def test_an_unknown_device() -> None:
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        choose_places("tpu", None, 2)


def jobs(folder: Path, *names: str) -> list[Any]:
    return [SimpleNamespace(run=SimpleNamespace(name=str(folder / name))) for name in names]


def test_a_run_that_fails_or_dies_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_serve", act)
    ended = {}
    places = Places(("cuda:0", "cuda:1"), 1)
    do_here(jobs(tmp_path, "dies", "fails", "works"), places, lambda job, why: ended.update({job.run.name: why}))
    assert {Path(name).name: why for name, why in ended.items()} == {
        "works": None, "dies": "its process died, signal 9 (SIGKILL)", "fails": "no features",
    }  # fmt: skip
    files = [path for path in tmp_path.iterdir() if path.suffix]
    assert len({path.suffix for path in files}) == 3, "a process each"
    assert {path.read_text() for path in files} == {"cuda:0", "cuda:1"}


def test_when_it_is_stopped_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_serve", act)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_here(jobs(tmp_path, "works", "hangs"), Places(("cpu", "cpu"), 1), stop)
    for path in tmp_path.glob("hangs.*"):
        assert not Path(f"/proc/{path.suffix[1:]}").exists()
