"""A Ray cluster: an actor for each device, all at one store on a file system that every node sees.

One actor coordinates. The videos of a lost actor are assigned to others, and another actor takes its place if the
cluster has room for it. Ray is optional: ``pip install 'asl-kit[ray]'``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.results import VideoResult, fail_video
from asl_extract.executors.work_queue import Coordinator
from asl_extract.executors.worker import work
from asl_extract.videos import Video, VideoFile
from asl_kit.base.child_process import MAX_FAILED_STARTS
from asl_kit.base.console import err
from asl_kit.errors import AslKitError
from asl_kit.store import FeatureStore
from asl_kit.store.staging import clear_stale

_POLL_S = 0.2


class RayCluster:
    """An executor on the cluster that Ray is connected to: an actor for each GPU, or each node if there is no GPU."""

    def __init__(self, ray: ModuleType) -> None:
        self._ray = ray
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._has_gpus = gpus > 0
        self._actors = gpus or sum(node["Alive"] for node in ray.nodes())

    def prepare(self, job: Job) -> Job:
        """Check the job on this host's CPU, and create the store; see `Executor`."""
        settings = job.settings.with_precision("bfloat16" if self._has_gpus else "float32")
        cache = job.options.cache
        options = replace(job.options, cache=None if cache is None else Path(cache).absolute())
        job = replace(job, store=job.store.absolute(), settings=settings, options=options)
        job.open("cpu", workers_on=["cuda" if self._has_gpus else "cpu"])
        err().print(f"{self._actors} Ray actors, one a {'GPU' if self._has_gpus else 'node'}")
        return job

    def execute(self, files: Sequence[Video], job: Job, callbacks: Callbacks) -> None:
        """Extract videos with actors; every node must see the files under the same paths. See `Executor`."""
        try:
            self._run(files, job, callbacks)
        except self._ray.exceptions.RayActorError as fault:
            raise AslKitError(
                f"the Ray actor that hands out the videos is lost: {_first_line(fault)}",
                hint="run the same command again: it continues with the videos that are not in the store",
            ) from fault
        with suppress(OSError):
            clear_stale(job.store / "tmp")  # of actors that were lost while they wrote

    def _run(self, files: Sequence[Video], job: Job, callbacks: Callbacks) -> None:
        """Extract videos; a lost coordinator raises `RayActorError`, in the driver or in an actor."""
        ray = self._ray
        store = FeatureStore.open(job.store)
        here = ray.get_runtime_context().get_node_id()
        stay = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        absolute = [replace(file, path=file.path.absolute()) if isinstance(file, VideoFile) else file for file in files]
        # The coordinator runs beside the driver: it must not be lost with a node.
        coordinator = ray.remote(num_cpus=0, scheduling_strategy=stay)(_RayCoordinator).remote(absolute)
        worker_type = ray.remote(num_cpus=1, num_gpus=int(self._has_gpus), scheduling_strategy="SPREAD")(_RayWorker)
        calls: dict[Any, tuple[str, Any]] = {}
        started = failed_starts = 0
        while True:
            messages, is_finished = ray.get(coordinator.take_messages.remote())
            for message in messages:
                failed_starts = 0
                if isinstance(message, VideoResult):
                    callbacks.on_result(message)
                else:
                    callbacks.on_progress(*message)
            if is_finished:
                return
            while len(calls) < self._actors:
                started += 1
                name = f"actor {started}"
                worker = worker_type.remote()
                calls[worker.run.remote(name, job, coordinator)] = (name, worker)  # an actor lives while it is held
            ready, _ = ray.wait(list(calls), timeout=_POLL_S)
            for call in ready:
                name, _ = calls.pop(call)
                try:
                    ray.get(call)
                except ray.exceptions.RayTaskError as fault:
                    known = isinstance(fault.cause, (AslKitError, ray.exceptions.RayActorError))
                    raise (fault.cause if known else fault) from None
                except ray.exceptions.RayError as fault:  # the actor or its node is lost
                    reason = _first_line(fault)
                    for file, text in ray.get(coordinator.lost.remote(name, reason)):
                        callbacks.on_result(fail_video(store, file.video_id, text))
                    failed_starts += 1
                    if failed_starts == MAX_FAILED_STARTS * self._actors:
                        raise AslKitError(
                            f"all actors on this cluster die at their start: {_first_line(fault)}"
                        ) from fault


def _first_line(fault: Exception) -> str:
    return str(fault).strip().splitlines()[0]


class _RayCoordinator:
    """The coordinator, as an actor; it keeps the workers' messages until the driver asks."""

    def __init__(self, files: list[Video]) -> None:
        self._coordinator = Coordinator(deque(files))
        self._messages: list[VideoResult | tuple[float, str]] = []

    def get(self, worker: str) -> tuple[Video | None, bool]:
        """Return the next video for a worker, or None and whether it should ask again."""
        is_idle = self._coordinator.is_idle(worker)
        file = self._coordinator.assign(worker)
        return file, file is None and is_idle and not self._coordinator.is_finished

    def on_result(self, worker: str, result: VideoResult) -> None:
        self._coordinator.finished(worker, result.video_id)
        self._messages.append(result)

    def on_progress(self, videos: float, note: str) -> None:
        self._messages.append((videos, note))

    def lost(self, worker: str, reason: str) -> list[tuple[Video, str]]:
        return self._coordinator.lost(worker, reason)

    def take_messages(self) -> tuple[list[VideoResult | tuple[float, str]], bool]:
        """Return the messages since the last call, and whether the job is finished."""
        messages, self._messages = self._messages, []
        return messages, self._coordinator.is_finished


class _RayQueue:
    """A worker's `WorkQueue`, filled by the coordinator's actor."""

    def __init__(self, ray: ModuleType, worker: str, coordinator: Any) -> None:
        self._ray = ray
        self._worker = worker
        self._coordinator = coordinator
        self._videos, self._sent_s = 0.0, 0.0

    def get(self) -> Video | None:
        while True:
            file, ask_again = self._ray.get(self._coordinator.get.remote(self._worker))
            if not ask_again:
                found: Video | None = file
                return found
            time.sleep(_POLL_S)

    def on_result(self, result: VideoResult) -> None:
        # Waits until it is delivered: after the worker is lost its videos are assigned again.
        self._ray.get(self._coordinator.on_result.remote(self._worker, result))

    def on_progress(self, videos: float, note: str) -> None:
        self._videos += videos
        if time.monotonic() - self._sent_s > _POLL_S or not note:  # not a message for every few frames
            self._coordinator.on_progress.remote(self._videos, note)
            self._videos, self._sent_s = 0.0, time.monotonic()


class _RayWorker:
    """A worker with the device that Ray gives it."""

    def run(self, name: str, job: Job, coordinator: Any) -> None:
        import ray

        work(job, _RayQueue(ray, name, coordinator), device="auto")
