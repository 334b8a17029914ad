"""Many writers, killed writers: each a process of its own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import zarr
from helpers.processes import Process
from helpers.support import make_features, make_spec

from asl_kit.store import FeatureStore

LENGTH, DIMENSION = 2500, 16  # three chunks
WRITER = f"""
import sys
import zarr  # before the start, so that kills hit the writing
from helpers.support import add_video, make_features, make_spec
from asl_kit.store import FeatureStore

print("ready", flush=True)
sys.stdin.readline()
store = FeatureStore.open_or_create(sys.argv[1], make_spec(feature_dim={DIMENSION}))
for number in map(int, sys.argv[2:]):
    if f"v{{number}}" not in store:
        add_video(store, f"v{{number}}", make_features({LENGTH}, seed=number, dimension={DIMENSION}))
"""


def start_writer(store: Path, numbers: list[int]) -> Process:
    return Process(
        [sys.executable, "-c", WRITER, str(store), *map(str, numbers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"},
    )


def go(writer: Process) -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def wait_until_ready(writer: Process) -> None:
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"


def assert_complete(path: Path, videos: int) -> FeatureStore:
    store = FeatureStore.open(path)
    assert store.verify() == []
    assert store.video_ids() == sorted(f"v{number}" for number in range(videos))
    for number in range(videos):
        expected = make_features(LENGTH, seed=number, dimension=DIMENSION).astype(np.float16)
        assert store.read(f"v{number}").tobytes() == expected.tobytes()
    assert list((path / "tmp").iterdir()) == []
    return store


@pytest.mark.parametrize(("kills", "videos"), [(3, 20), pytest.param(12, 120, marks=pytest.mark.slow)])
def test_writers_killed_at_any_moment_leave_a_store_that_goes_on(tmp_path: Path, kills: int, videos: int) -> None:
    path = tmp_path / "store"
    chance = random.Random(7)
    kills_in_mid_work = 0
    for _ in range(kills):
        writer = start_writer(path, list(range(videos)))
        with writer:
            wait_until_ready(writer)
            go(writer)
            time.sleep(chance.uniform(0.0, 0.1))
            writer.kill()
        kills_in_mid_work += path.exists() and any((path / "tmp").iterdir())
        if (path / "zarr.json").exists():
            assert FeatureStore.open(path).verify() == []
    assert kills_in_mid_work > 0 or kills < 12  # of three, chance may let each fall between two videos
    with start_writer(path, list(range(videos))) as writer:
        wait_until_ready(writer)
        go(writer)
    assert writer.returncode == 0
    store = assert_complete(path, videos)
    assert {attempt.outcome for attempt in store.ledger.attempts()} == {"done"}


def test_processes_that_make_and_fill_one_store_at_once(tmp_path: Path) -> None:
    path, videos = tmp_path / "store", 24
    with ExitStack() as stack:
        writers = [stack.enter_context(start_writer(path, list(range(videos))[::step])) for step in (1, 1, -1)]
        for writer in writers:
            wait_until_ready(writer)
        for writer in writers:
            go(writer)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    store = assert_complete(path, videos)
    counts = Counter((attempt.video_id, attempt.outcome) for attempt in store.ledger.attempts())
    assert all(counts[f"v{number}", "done"] == 1 for number in range(videos))
    group = zarr.open_group(path, mode="r")
    assert group.attrs["spec"] == make_spec(feature_dim=DIMENSION).model_dump(mode="json")
    assert (path / "zarr.json").read_bytes() == (path / "videos" / "zarr.json").read_bytes()


def test_importing_the_store_loads_neither_torch_nor_zarr() -> None:
    code = "import sys, asl_kit.store; print({'torch', 'zarr', 'decord'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
