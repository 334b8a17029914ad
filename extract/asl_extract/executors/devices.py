"""The devices of this host: a process for each, all at one store.

The videos of a process that dies are assigned to the others, and another process takes its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from asl_extract.decoding.workers import choose_workers
from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.results import VideoResult, fail_video
from asl_extract.executors.work_queue import Coordinator
from asl_extract.executors.worker import work
from asl_extract.videos import VideoFile
from asl_kit.base.child_process import MAX_FAILED_STARTS, ChildDiedError, ChildProcess
from asl_kit.errors import AslKitError
from asl_kit.store import FeatureStore
from asl_kit.store.staging import clear_stale
from asl_kit.torch_utils.device import choose_device, default_precision

_GET, _RESULT, _PROGRESS, _FAILED = "get", "result", "progress", "failed"


class Devices:
    """An executor with several devices of this host; a device may be named several times."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._devices = devices

    def prepare(self, job: Job) -> Job:
        """Check the job on the CPU, and create the store; see `Executor`."""
        first = choose_device(self._devices[0])
        job = replace(job, settings=job.settings.with_precision(default_precision(first)))
        extractor, _ = job.open("cpu", workers_on=self._devices)
        workers = choose_workers(first.type, decoder=extractor.spec.decoder_name, devices=len(self._devices))
        return job.start(f"{', '.join(self._devices)}: one process per device", workers=workers)

    def execute(self, files: Sequence[VideoFile], job: Job, callbacks: Callbacks) -> None:
        """Extract videos with one process for each device; see `Executor`."""
        coordinator = Coordinator(deque(files))
        store = FeatureStore.open(job.store)
        workers = [_DeviceWorker(number, device, job) for number, device in enumerate(self._devices, start=1)]
        try:
            while not coordinator.is_finished:
                for worker in workers:
                    worker.answer(coordinator)
                ready = wait([worker.connection for worker in workers])
                for worker in [worker for worker in workers if worker.connection in ready]:
                    try:
                        kind, content = worker.receive()
                    except ChildDiedError as died:
                        for file, reason in coordinator.lost(worker.name, f"the process died, {died}"):
                            callbacks.on_result(fail_video(store, file.video_id, reason))
                        worker.restart(died)
                        continue
                    if kind == _RESULT:
                        coordinator.finished(worker.name, content.video_id)
                        callbacks.on_result(content)
                    elif kind == _PROGRESS:
                        callbacks.on_progress(*content)
                    elif kind == _FAILED:
                        raise content
        finally:
            for worker in workers:
                worker.connection.close()  # all of them end at the same time
            for worker in workers:
                worker.end()
            with suppress(OSError):
                clear_stale(store.path / "tmp")  # of workers that were killed while they wrote


class _DeviceWorker:
    """A device's process, seen from the coordinator."""

    def __init__(self, number: int, device: str, job: Job) -> None:
        self.name = f"{device} ({number})"
        self._wants_video = False
        self._child = ChildProcess(_run, job, device, name=f"asl-kit {self.name}", has_children=True)
        self._child.start()

    @property
    def connection(self) -> Connection:
        return self._child.connection

    def receive(self) -> tuple[str, Any]:
        kind, content = self._child.receive()
        self._wants_video = self._wants_video or kind == _GET
        return kind, content

    def answer(self, coordinator: Coordinator) -> None:
        """Send a video, or None, to a worker that asked for one, unless it has to wait."""
        if self._wants_video and (coordinator.waiting or not coordinator.is_idle(self.name)):
            self._wants_video = False
            self._child.send(coordinator.assign(self.name))

    def restart(self, died: ChildDiedError) -> None:
        """Start another process in place of one that died."""
        if self._child.failed_starts == MAX_FAILED_STARTS:
            raise AslKitError(
                f"{self.name}: the worker process died {MAX_FAILED_STARTS} times at its start: {died}",
                hint="try this device alone: --device NAME",
            )
        self._wants_video = False
        self._child.start()

    def end(self) -> None:
        self._child.end()


class _PipeQueue:
    """The `WorkQueue` at the other end of a pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self) -> VideoFile | None:
        self._connection.send((_GET, None))
        file: VideoFile | None = self._connection.recv()
        return file

    def on_result(self, result: VideoResult) -> None:
        self._connection.send((_RESULT, result))

    def on_progress(self, videos: float, note: str) -> None:
        self._connection.send((_PROGRESS, (videos, note)))


def _run(connection: Connection, job: Job, device: str) -> None:
    try:
        work(job, _PipeQueue(connection), device=device)
    except AslKitError as fault:
        connection.send((_FAILED, fault))
