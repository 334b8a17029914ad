"""The scripts of docs/clusters.md, run on small videos with stand-ins for Slurm's commands."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.extraction import run_extraction
from helpers.processes import ENVIRONMENT, assert_same_store
from helpers.support import make_images, make_task, write_video
from helpers.training_runs import SMALL, words

from asl_kit.store import FeatureStore

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
STAND_INS = {
    "asl-kit": f'exec {sys.executable} -m asl_kit "$@"',
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
    "scontrol": "echo localhost\necho another",
    # As many tasks as nodes; like srun, it fails with any of them.
    "srun": '"$@" & first=$!\n"$@"\nsecond=$?\nwait $first && exit $second',
}


def script(name: str, *, smaller: dict[str, str]) -> str:
    """Return a script of the page with some of its words replaced."""
    found = re.search(rf"<!-- run: {name} -->\n```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found is not None
    text = found[1]
    for word, other in smaller.items():
        assert word in text
        text = text.replace(word, other)
    return text


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two videos and their features, in which the scripts find their commands."""
    (tmp_path / "bin").mkdir()
    for name, commands in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{commands}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run(text: str, place: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in variables.items()}
    return subprocess.run(
        ["bash", "-c", text], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def videos(place: Path) -> list[Path]:
    (place / "videos").mkdir()
    videos = [write_video(place / "videos" / f"{name}.mp4", frames=60, size=(64, 48)) for name in "ab"]
    make_images(videos[1], tar=True)
    settings = {"backbone": "x3d_xs", "weights": "random", "frame_size": 48, "window_frames": 16, "stride_frames": 4}
    run_extraction([place / "videos"], place / "one.zarr", device="cpu", image_fps=25.0, **settings)
    return videos


SMALLER = {"x3d_xs": "x3d_xs --weights random --size 48 --image-fps 25"}


@pytest.mark.usefixtures("videos")
def test_the_array_of_jobs(place: Path) -> None:
    text = script("array", smaller=SMALLER)
    assert "#SBATCH --array=1-8\n" in text
    for task in (1, 2):  # as sbatch --array=1-2 does
        done = run(text, place, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT=2, SLURM_CPUS_PER_TASK=1)
        assert done.returncode == 0, done.stderr
        assert "1 videos extracted, 0 already in the store, 0 failed" in done.stdout
        assert FeatureStore.open(place / "features.zarr").video_ids() == ["a", "b"][:task]
    assert_same_store(place / "features.zarr", place / "one.zarr")


@pytest.mark.usefixtures("videos")
def test_ray(place: Path) -> None:
    done = run(script("ray", smaller=SMALLER | {"--ray auto": "--ray local"}), place)
    assert done.returncode == 0, done.stderr
    assert_same_store(place / "features.zarr", place / "one.zarr")


def test_training_on_several_machines(place: Path) -> None:
    """Two torchrun on this host train as two machines do."""
    annotations, features = make_task(place)
    assert (annotations, features) == (place / "annotations.json", place / "features.zarr")
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port = listener.getsockname()[1]
    smaller = {
        "29500": str(port),
        "--nproc-per-node 4": "--nproc-per-node 1",
        "--resume": shlex.join(["--resume", "--device", "cpu", *words(*SMALL)]),
        "OMP_NUM_THREADS=8": "OMP_NUM_THREADS=1",
    }
    text = script("machines", smaller=smaller)
    done = run(text, place, SLURM_JOB_ID=7, SLURM_JOB_NODELIST="localhost,another")
    assert done.returncode == 0, done.stderr
    assert "shared by 2 processes" in done.stderr
    made = place / "run" / "model.ckpt"
    assert torch.load(made, weights_only=True)["provenance"]["processes"] == 2
