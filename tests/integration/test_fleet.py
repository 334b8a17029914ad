"""Several processes, and a Ray cluster of two nodes, fill a store as one process does, also when some are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.processes import (
    Process,
    TwoNodes,
    assert_same_store,
    descendants_of,
    is_running,
    start_asl_kit,
    wait_until,
    workers_of,
)
from helpers.support import make_images, write_video

from asl_kit.store import FeatureStore

pytestmark = pytest.mark.slow

VIDEOS = 12
SETTINGS = ["--backbone", "x3d_xs", "--weights", "random", "--window", "16", "--stride", "4", "--size", "48"]
SETTINGS += ["--image-fps", "25"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fleet")
    (place / "videos").mkdir()
    for number in range(VIDEOS):
        write_video(place / "videos" / f"{number:02}.mp4", frames=100 + 10 * number, fps=25, size=(64, 48))
    for number in range(0, VIDEOS, 4):  # a quarter as folders of images, a quarter as tars of them
        make_images(place / "videos" / f"{number:02}.mp4", tar=False)
        make_images(place / "videos" / f"{number + 1:02}.mp4", tar=True)
    (place / "videos" / "broken.mp4").write_bytes(b"no video")
    with start(place, "one.zarr", []) as run:
        run.communicate(timeout=240)
    return place


def start(folder: Path, store: str, options: list[str]) -> Process:
    return start_asl_kit("extract", "videos", "-o", store, *SETTINGS, "--dtype", "float32", *options, cwd=folder)


def finish(run: Process, folder: Path, store: str) -> None:
    """Wait for a run; its store must equal that of a single process, bit for bit."""
    out, errors = run.communicate(timeout=280)
    assert run.returncode == 1, out + errors  # one video is broken
    # A video that a killed process stored without having said so is found in the store.
    counts = re.search(r"(\d+) videos extracted, (\d+) already in the store, 1 failed", out)
    assert counts is not None, out
    assert int(counts[1]) + int(counts[2]) == VIDEOS
    assert "Traceback" not in errors
    assert_same(folder, store)


def assert_same(folder: Path, store: str) -> None:
    assert_same_store(folder / store, folder / "one.zarr")
    found = FeatureStore.open(folder / store)
    assert len(found.video_ids()) == VIDEOS
    assert list(found.ledger.failures()) == ["broken"]


def wait_for_videos(run: Process, store: Path, count: int) -> None:
    end_s = time.monotonic() + 120
    while time.monotonic() < end_s and run.poll() is None:
        if (store / "zarr.json").is_file() and len(FeatureStore.open(store).video_ids()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{count} videos never came: {run.communicate()}")


def test_a_driver_that_is_killed_leaves_no_process_and_a_worker_that_is_killed_costs_nothing(folder: Path) -> None:
    with start(folder, "driver.zarr", ["--device", "cpu,cpu"]) as run:
        wait_for_videos(run, folder / "driver.zarr", 2)
        workers = workers_of(run.pid)
        assert len(workers) == 2
        run.kill()
    wait_until(lambda: not any(map(is_running, workers)), timeout_s=20)
    done = len(FeatureStore.open(folder / "driver.zarr").video_ids())
    with start(folder, "driver.zarr", ["--device", "cpu,cpu"]) as again:
        wait_for_videos(again, folder / "driver.zarr", done + 2)
        victim = workers_of(again.pid)[0]
        os.kill(victim, signal.SIGKILL)
        unfinished = folder / "driver.zarr" / "tmp" / f"{socket.gethostname()}-{victim}-{0:016x}"
        unfinished.mkdir()  # as if it had been in the middle of writing
        finish(again, folder, "driver.zarr")


def test_what_no_worker_can_do_is_one_message(folder: Path) -> None:
    with start(folder, "stopped.zarr", ["--device", "cpu,cpu", "--on-error", "stop"]) as run:
        out, errors = run.communicate(timeout=120)
    assert (run.returncode, out) == (1, "")
    assert "error: videos/broken.mp4: not a video that can be read" in errors
    assert workers_of(run.pid) == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with TwoNodes() as nodes:
        yield nodes


def ray_processes(cluster: TwoNodes, name: str) -> list[int]:
    """Return the processes of actors of a class."""
    return [pid for pid, command in descendants_of(cluster.pid).items() if command.startswith(f"ray::{name}")]


def test_ray_loses_a_node(folder: Path, cluster: TwoNodes) -> None:
    with start(folder, "lost.zarr", ["--ray", cluster.address]) as run:
        wait_for_videos(run, folder / "lost.zarr", 3)
        cluster.kill_second_node()
        finish(run, folder, "lost.zarr")
    cluster.add_second_node()


def test_ray_loses_what_all_depend_on(folder: Path, cluster: TwoNodes) -> None:
    """The run ends, leaves no process on the cluster, and is resumed by the same command, though it loses an actor.

    Ray prints a notice of that on the driver's stdout, which must hold the JSON alone.
    """
    options = ["--ray", cluster.address]
    with start(folder, "resumed.zarr", options) as run:
        wait_for_videos(run, folder / "resumed.zarr", 3)
        os.kill(ray_processes(cluster, "_RayCoordinator")[0], signal.SIGKILL)
        out, errors = run.communicate(timeout=120)
    assert run.returncode == 1, out + errors
    assert "error: the Ray actor that hands out the videos is lost: The actor died" in errors
    assert "hint: run the same command again" in errors
    assert "Traceback" not in errors
    wait_until(lambda: not ray_processes(cluster, "_"), timeout_s=20)

    done = len(FeatureStore.open(folder / "resumed.zarr").video_ids())
    with start(folder, "resumed.zarr", options) as driver:
        wait_for_videos(driver, folder / "resumed.zarr", done + 2)
        driver.kill()
    wait_until(lambda: not ray_processes(cluster, "_"), timeout_s=20)

    done = len(FeatureStore.open(folder / "resumed.zarr").video_ids())
    with start(folder, "resumed.zarr", [*options, "--json", "-"]) as again:
        wait_for_videos(again, folder / "resumed.zarr", done + 1)
        os.kill(ray_processes(cluster, "_RayWorker")[0], signal.SIGKILL)
        out, errors = again.communicate(timeout=280)
    assert again.returncode == 1, out + errors  # one video is broken
    assert "Traceback" not in errors
    summary = json.loads(out)
    # A video that the killed actor stored without having said so is found in the store.
    assert (len(summary["done"] + summary["skipped"]), list(summary["failed"])) == (VIDEOS, ["broken"])
    assert_same(folder, "resumed.zarr")


def test_no_cluster_at_the_address(folder: Path) -> None:
    with start(folder, "none.zarr", ["--ray", "127.0.0.1:1"]) as run:
        out, errors = run.communicate(timeout=240)
    assert (run.returncode, out) == (2, "")
    assert "error: --ray 127.0.0.1:1: no Ray cluster there" in errors
