"""Where the runs of a study are done: in processes of this host, or on a Ray cluster; always one process a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from asl_kit.base.child_process import ChildDiedError, ChildProcess
from asl_kit.base.console import err
from asl_kit.base.ray_connection import connect
from asl_kit.errors import UsageError
from asl_kit.study.runs import Job, do
from asl_kit.torch_utils.device import choose_devices

MOST_JOBS = 4
"""Runs at once on a CPU by default: each of them holds its features in memory."""

OnEnd = Callable[[Job, str | None], None]
"""Called with each run that has ended, and why it failed, or None."""


@dataclass(frozen=True)
class Places:
    """How many runs are done at once on this host, and where."""

    devices: tuple[str, ...]
    """The device of each."""
    threads: int
    """Threads of each."""


def choose_places(device: str, jobs: int | None, runs: int) -> Places:
    """Return the devices and threads of the runs that are done at once.

    By default, one for each GPU; on a CPU, one for each core, up to `MOST_JOBS`.

    Parameters
    ----------
    device : str
        ``auto`` (every GPU, or else the CPU), or what `choose_devices` takes.
    jobs : int, optional
        Runs at once.
    runs : int
        How many there are.

    Raises
    ------
    UsageError, MissingDependencyError
        If a device is not available.
    """
    import torch

    names = choose_devices("all" if device == "auto" and torch.cuda.is_available() else device)
    cores = torch.get_num_threads()  # physical cores, or what OMP_NUM_THREADS allows
    if jobs is None:
        jobs = min(cores, MOST_JOBS) if names == ["cpu"] else len(names)
    jobs = max(1, min(jobs, runs))
    return Places(tuple(names[place % len(names)] for place in range(jobs)), max(1, cores // jobs))


def do_here(jobs: Sequence[Job], places: Places, on_end: OnEnd) -> None:
    """Do runs on this host, each in a process of its own; when this is left, no process is left."""
    waiting, free = deque(jobs), deque(places.devices)
    running: dict[Connection, tuple[Job, str, ChildProcess]] = {}
    try:
        while waiting or running:
            while waiting and free:
                job, device = waiting.popleft(), free.popleft()
                child = ChildProcess(_serve, job, device, places.threads, name=f"asl-kit {job.run.name}")
                child.start()
                running[child.connection] = (job, device, child)
            ready = wait(list(running))
            for connection in [connection for connection in running if connection in ready]:
                job, device, child = running.pop(connection)
                try:
                    failure = child.receive()
                except ChildDiedError as died:
                    failure = f"its process died, {died}"
                child.end()
                free.append(device)
                on_end(job, failure)
    finally:
        for _, _, child in running.values():
            child.end()


def _serve(connection: Connection, job: Job, device: str, threads: int) -> None:
    connection.send(do(job, device=device, threads=threads))


def do_on_ray(jobs: Sequence[Job], address: str, at_once: int | None, on_end: OnEnd) -> None:
    """Do runs on a Ray cluster, each in a process of its own, with a GPU if the cluster has any.

    Every node must see the files under the same paths. A run whose node is lost continues on another one.

    Raises
    ------
    UsageError, MissingDependencyError
        If Ray is not installed, or there is no cluster at the address.
    """
    with connect(address) as ray:
        resources = ray.cluster_resources()
        cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        if cpus < 1:
            raise UsageError(f"--ray {address}: the cluster has no CPU to run on")
        places = max(1, min(at_once or gpus or cpus, len(jobs), cpus))
        threads = max(1, cpus // places)
        err().print(f"Ray: {places} runs at once, {threads} CPUs{' and a GPU' if gpus else ''} each")
        task = ray.remote(num_cpus=threads, num_gpus=min(gpus, 1), max_calls=1, max_retries=2)(do)
        waiting = deque(jobs)
        running: dict[Any, Job] = {}
        try:
            while waiting or running:
                while waiting and len(running) < places:
                    job = waiting.popleft()
                    running[task.remote(job, device="auto", threads=threads)] = job
                ready, _ = ray.wait(list(running))
                for call in ready:
                    job = running.pop(call)
                    try:
                        failure = ray.get(call)
                    except ray.exceptions.RayError as fault:  # its process or its node is lost
                        failure = str(fault).strip().splitlines()[0]
                    on_end(job, failure)
        finally:
            for call in running:
                ray.cancel(call, force=True)
