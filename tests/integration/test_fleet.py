"""Several processes, and a Ray cluster of two nodes, fill a store as one process does, also when some are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import write_video

from asl_kit.store import FeatureStore

pytestmark = pytest.mark.slow

VIDEOS = 16
SETTINGS = ["--backbone", "x3d_xs", "--weights", "random", "--window", "16", "--stride", "4", "--size", "48"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.remove_node(second, allow_graceful=False)
        print("killed", flush=True)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fleet")
    (place / "videos").mkdir()
    for number in range(VIDEOS):
        write_video(place / "videos" / f"{number:02}.mp4", frames=200 + 20 * number, fps=25, size=(64, 48))
    (place / "videos" / "broken.mp4").write_bytes(b"no video")
    start(place, "one.zarr", []).communicate(timeout=240)
    return place


def start(folder: Path, store: str, options: list[str]) -> subprocess.Popen[str]:
    program = Path(sys.executable).with_name("asl-kit")
    command = [program, "extract", "videos", "-o", store, *SETTINGS, "--dtype", "float32", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def finish(run: subprocess.Popen[str], folder: Path, store: str) -> None:
    """Wait for a run; its store must be the one of a single process, bit for bit."""
    out, errors = run.communicate(timeout=280)
    assert run.returncode == 1, out + errors  # one video is broken
    assert f"{VIDEOS} videos extracted, 0 there before, 1 failed" in out
    assert "Traceback" not in errors
    assert_same(folder, store)


def assert_same(folder: Path, store: str) -> None:
    expected, found = (FeatureStore.open(folder / name) for name in ("one.zarr", store))
    assert found.verify() == []
    assert found.video_ids() == expected.video_ids()
    assert len(expected.video_ids()) == VIDEOS
    for video_id in expected.video_ids():
        np.testing.assert_array_equal(found.read(video_id), expected.read(video_id))
        assert found.info(video_id) == expected.info(video_id)
    assert list(found.ledger.failures()) == ["broken"]


def wait_for_videos(run: subprocess.Popen[str], store: Path, count: int) -> None:
    end_s = time.monotonic() + 120
    while time.monotonic() < end_s and run.poll() is None:
        if (store / "zarr.json").is_file() and len(FeatureStore.open(store).video_ids()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{count} videos never came: {run.communicate()}")


def children_of(process_id: int) -> list[int]:
    """Return the processes that compute: not the resource tracker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if parent == str(process_id) and "spawn_main" in command:
                found.append(int(entry.name))
    return found


def test_two_processes_fill_one_store(folder: Path) -> None:
    finish(start(folder, "two.zarr", ["--device", "cpu,cpu"]), folder, "two.zarr")


def test_a_process_that_is_killed_costs_nothing(folder: Path) -> None:
    run = start(folder, "killed.zarr", ["--device", "cpu,cpu"])
    wait_for_videos(run, folder / "killed.zarr", 2)
    os.kill(children_of(run.pid)[0], signal.SIGKILL)
    finish(run, folder, "killed.zarr")


def test_the_driver_that_is_killed_leaves_no_process_and_can_go_on(folder: Path) -> None:
    run = start(folder, "driver.zarr", ["--device", "cpu,cpu"])
    wait_for_videos(run, folder / "driver.zarr", 2)
    workers = children_of(run.pid)
    assert len(workers) == 2
    run.kill()
    run.communicate()
    end_s = time.monotonic() + 20
    while any(Path("/proc", str(worker)).exists() for worker in workers) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not any(Path("/proc", str(worker)).exists() for worker in workers)
    again = start(folder, "driver.zarr", ["--device", "cpu,cpu"])
    out, errors = again.communicate(timeout=280)
    assert again.returncode == 1, out + errors
    assert_same(folder, "driver.zarr")


def test_what_no_worker_can_do_is_one_message(folder: Path) -> None:
    run = start(folder, "stopped.zarr", ["--device", "cpu,cpu", "--on-error", "stop"])
    out, errors = run.communicate(timeout=120)
    assert (run.returncode, out) == (1, "")
    assert "error: videos/broken.mp4: not a video that can be read" in errors
    assert children_of(run.pid) == []


@pytest.fixture
def cluster() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
    )
    yield process
    process.communicate(timeout=60)


def test_ray_on_two_nodes(folder: Path, cluster: subprocess.Popen[str]) -> None:
    address = cluster.stdout.readline().strip()
    run = start(folder, "ray.zarr", ["--ray", address])
    finish(run, folder, "ray.zarr")


def test_ray_loses_a_node(folder: Path, cluster: subprocess.Popen[str]) -> None:
    address = cluster.stdout.readline().strip()
    run = start(folder, "lost.zarr", ["--ray", address])
    wait_for_videos(run, folder / "lost.zarr", 3)
    cluster.stdin.write("kill\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "killed\n"
    finish(run, folder, "lost.zarr")


def test_no_cluster_at_the_address(folder: Path) -> None:
    run = start(folder, "none.zarr", ["--ray", "127.0.0.1:1"])
    out, errors = run.communicate(timeout=240)
    assert (run.returncode, out) == (2, "")
    assert "error: --ray 127.0.0.1:1: no Ray cluster there" in errors
