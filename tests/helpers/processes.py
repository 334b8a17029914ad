"""Other processes: start them, watch them through Linux's /proc, and kill them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from asl_kit.store import FeatureStore

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


class Process(subprocess.Popen[str]):
    """A process that is killed when its ``with`` block is left by an exception, such as a failed assertion.

    Left otherwise, the block waits for the process to end, as that of `subprocess.Popen` does; its pipes are closed
    either way.
    """

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, fault, trace)


# A shell's background jobs ignore SIGINT, and so would what they start.
HEARS_CTRL_C: dict[str, Any] = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
"""Options of `start_asl_kit` for a process that is to be interrupted."""


def start_asl_kit(*arguments: object, **options: Any) -> Process:
    """Start ``asl-kit`` with one thread, its output in pipes unless `options` of Popen say otherwise."""
    command = [sys.executable, "-m", "asl_kit", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT}
    return Process(command, text=True, **(pipes | options))


def wait_until(condition: Callable[[], object], *, timeout_s: float = 120, process: Any = None) -> float:
    """Wait until a condition holds and return the seconds taken; fail if `process` ends first."""
    started_s = time.monotonic()
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the process ended with {process.returncode} first: {process.communicate()}")
        assert time.monotonic() - started_s < timeout_s, f"the condition does not hold after {timeout_s:g} s"
        time.sleep(0.002)
    return time.monotonic() - started_s


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> dict[int, str]:
    """Return the command line of each child of a process."""
    found = {}
    for threads_children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in threads_children.read_text().split():
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
    return found


def descendants_of(pid: int) -> dict[int, str]:
    """Return the command line of each child, grandchild and so on."""
    found = children_of(pid)
    for child in list(found):
        found |= descendants_of(child)
    return found


def workers_of(pid: int) -> list[int]:
    """Return the processes that a process has spawned with multiprocessing, without its resource tracker."""
    return [child for child, command in children_of(pid).items() if "spawn_main" in command]


def open_files(pid: int, folder: Path) -> set[str]:
    """Return the names of the files below a folder that a process has open."""
    found = set()
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                path = link.readlink()
            except FileNotFoundError:  # it has been closed
                continue
            if path.is_relative_to(folder):
                found.add(path.name)
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has ended
        pass
    return found


def shared_memory(pid: int) -> list[Path]:
    """Return the shared memory that the process of an extraction has created."""
    return list(Path("/dev/shm").glob(f"asl-kit-{pid}-*"))


def assert_same_store(path: Path, expected_path: Path) -> None:
    """Assert that a store is valid, equals another bit for bit, and holds nothing unfinished."""
    expected, found = FeatureStore.open(expected_path), FeatureStore.open(path)
    assert found.verify() == []
    assert found.video_ids() == expected.video_ids()
    for video_id in expected.video_ids():
        np.testing.assert_array_equal(found.read(video_id), expected.read(video_id), err_msg=video_id)
        assert found.info(video_id) == expected.info(video_id)
    assert list((path / "tmp").iterdir()) == []


_CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "kill\\n":
        cluster.remove_node(second, allow_graceful=False)
    else:
        second = cluster.add_node(num_cpus=1)
    print("done", flush=True)
cluster.shutdown()
"""


class TwoNodes:
    """A Ray cluster of two nodes on this host, one CPU each, in its own process; a context manager."""

    def __init__(self, environment: Mapping[str, str] = ENVIRONMENT) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = Process([sys.executable, "-c", _CLUSTER], text=True, env=environment, **pipes)
        self.address = self._read()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill_second_node(self) -> None:
        self._ask("kill")

    def add_second_node(self) -> None:
        self._ask("add")

    def __enter__(self) -> TwoNodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            self._process.communicate(timeout=60)

    def _ask(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._read() == "done"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
