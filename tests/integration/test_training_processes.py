"""A run in several processes is the run in one; it may go on in another number of them; its faults are said once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import assert_same_run, command, curve, run_in_group, weights, words

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def arguments(processes: int, task: tuple[Path, Path], out: Path, *settings: str) -> list[str]:
    python = [sys.executable, "-m"]
    if processes > 1:
        python += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    return [*python, "asl_kit", *command(task, out, "--device", "cpu", *settings)]


def train_here(task: tuple[Path, Path], out: Path, *settings: str) -> None:
    """Train in this process: loading PyTorch in another takes longer than the training."""
    result = run(*command(task, out, "--device", "cpu", *settings))
    assert result.exit_code == 0, result.output


def train(processes: int, task: tuple[Path, Path], out: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    call = arguments(processes, task, out, *settings)
    return subprocess.run(call, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_task(tmp_path_factory.mktemp("task"), videos=10, classes=3)


@pytest.fixture(scope="module")
def alone(task: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "alone"
    train_here(task, out)
    return out


def assert_equal_runs(one: Path, other: Path) -> None:
    lines, expected = curve(one), curve(other)
    assert len(lines) == len(expected)
    for line, wanted in zip(lines, expected, strict=True):
        assert line.pop("group") == wanted.pop("group")
        assert line == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    loaded = weights(other / "last.ckpt")
    for name, value in weights(one / "last.ckpt").items():
        # The bias of a key has no effect: its gradient is rounding error, which Adam makes a step of.
        torch.testing.assert_close(value, loaded[name], rtol=1e-4, atol=1e-5, msg=name)


SEGMENTS = ["loss.positive_levels=all", "loss.center_radius=segment"]
TRIDET = ["model.encoder=sgp", "model.head=trident", "model.trident_bins=5", "loss.tiou_weight_power=0.2"]


# 5 videos: the last batch of an epoch is smaller than the others, and some processes have no video in it.
@pytest.mark.parametrize(
    ("processes", "settings"),
    [
        (2, ["optimizer.batch_size=3", "sensitivity.localization_target=ends"]),
        (2, ["sensitivity.mode=paper", "optimizer.gradient_clip=0.01", "optimizer.ema_decay=0", *SEGMENTS]),
        (2, ["sensitivity.mode=released", "loss.video_label_weight=0.2", "contrastive.form=released"]),
        (3, [*TRIDET, "optimizer.batch_size=2"]),
    ],
    ids=["all parts", "paper, whole segments", "released", "sgp, trident, more processes than videos"],
)
def test_several_processes_train_as_one(
    processes: int, settings: list[str], task: tuple[Path, Path], tmp_path: Path
) -> None:
    train_here(task, tmp_path / "one", *words(*settings))
    call = command(task, tmp_path / "several", "--device", "cpu", *words(*settings))
    codes, stdout, stderr = run_in_group(processes, tmp_path / "group", call)
    assert codes == [0] * processes, stderr
    assert_equal_runs(tmp_path / "several", tmp_path / "one")
    assert stdout == f"{tmp_path / 'several' / 'model.ckpt'}\n", "one process speaks"
    assert stderr.count("Derived from the training videos") == 1
    assert f"shared by {processes} processes; learning rate 0.003" in stderr
    provenance = torch.load(tmp_path / "several" / "model.ckpt", weights_only=True)["provenance"]
    assert provenance["processes"] == processes
    assert f"optimizer.batch_size={provenance['batch_size']}" in [*settings, "optimizer.batch_size=2"]


def test_a_run_goes_on_in_another_number_of_processes(task: tuple[Path, Path], alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    steps = []
    for processes in (2, 1):
        call = arguments(processes, task, out, "--resume", *words("run.checkpoint_minutes=1e-6"))
        before = (out / "last.ckpt").stat().st_mtime_ns if (out / "last.ckpt").exists() else 0
        process = subprocess.Popen(
            call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        while process.poll() is None:
            if (out / "last.ckpt").exists() and (out / "last.ckpt").stat().st_mtime_ns > before:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        process.wait()
        steps.append(torch.load(out / "last.ckpt", weights_only=True)["provenance"]["step"])
    assert 0 < steps[0] < steps[1] < curve(alone)[-1]["step"], "both were killed in the middle"
    done = train(2, task, out, "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("resuming") == 1
    assert_equal_runs(out, alone)


def test_a_fault_in_one_process_ends_all_with_one_message(tmp_path: Path) -> None:
    from asl_kit.store import FeatureStore

    task = make_task(tmp_path)
    folder = FeatureStore.open(task[1]).folder("video 1")
    chunk = next(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.startswith("c"))
    chunk.write_bytes(b"\x00\x00\xc0\x7f" + chunk.read_bytes()[4:])  # float32 NaN, little endian
    # Unstandardized, so that only the process that trains on the video reads it.
    done = train(2, task, tmp_path / "run", *words("data.standardize=false", "data.crop_ratio=[1.0, 1.0]"))
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert done.stderr.count("video video 1: feature 0 is not finite") == 1
    assert "gloo" not in done.stderr.lower()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (words("loss.localization_weight=1e39"), "the loss is not finite at step 1"),
        (["--device", "cuda:0"], "several processes cannot train on one GPU"),
    ],
    ids=["loss", "device"],  # while they train, and before they are a group
)
def test_a_fault_of_all_processes_is_said_once(
    more: list[str], message: str, task: tuple[Path, Path], tmp_path: Path
) -> None:
    done = train(2, task, tmp_path / "run", *more)
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert done.stderr.count(message) == 1
    assert not (tmp_path / "run" / "model.ckpt").exists()


def test_two_threads_repeat_bit_for_bit(task: tuple[Path, Path], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for name in ("one", "two"):
            train_here(task, tmp_path / name, *words("model.width=64", "optimizer.epochs=2"))
    finally:
        torch.set_num_threads(threads)
    assert_same_run(tmp_path / "one", tmp_path / "two")
