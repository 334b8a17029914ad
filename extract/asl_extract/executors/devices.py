"""The devices of this host: a process for each.

The videos of a process that dies are assigned to the others, and another process takes its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from asl_extract.decoding.workers import choose_workers
from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.results import VideoResult, fail_video
from asl_extract.executors.work_queue import Coordinator
from asl_extract.executors.worker import work
from asl_extract.videos import Video
from asl_kit.base.child_process import MAX_FAILED_STARTS, ChildDiedError, ChildProcess
from asl_kit.errors import AslKitError
from asl_kit.store import FeatureStore
from asl_kit.store.staging import clear_stale
from asl_kit.torch_utils.device import choose_device, default_precision

_GET, RESULT, PROGRESS, LOST, _FAILED = "get", "result", "progress", "lost", "failed"


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

    def execute(self, files: Sequence[Video], job: Job, callbacks: Callbacks) -> None:
        """Extract videos with one process for each device; see `Executor`."""
        store = FeatureStore.open(job.store)
        try:
            with closing(work_on_devices(self._devices, files, _run, job)) as messages:
                for kind, content in messages:
                    if kind == RESULT:
                        callbacks.on_result(content)
                    elif kind == PROGRESS:
                        callbacks.on_progress(*content)
                    else:
                        file, reason = content
                        callbacks.on_result(fail_video(store, file.video_id, reason))
        finally:
            with suppress(OSError):
                clear_stale(job.store / "tmp")  # of workers that were killed while they wrote


def work_on_devices(
    devices: Sequence[str], files: Sequence[Video], target: Callable[..., None], *arguments: object
) -> Generator[tuple[str, Any], None, None]:
    """Yield the messages of one process for each device, which share the videos. Close the generator to end all.

    Parameters
    ----------
    devices : sequence of str
        Names of devices; one may be named several times.
    files : sequence of Video
        The videos, handed out in this order.
    target : callable
        A module's function; each process runs ``target(connection, device, *arguments)`` with a `DeviceQueue` on the
        connection.
    arguments : object
        Pickled for `target`.

    Yields
    ------
    (str, object)
        `RESULT` or `PROGRESS` with what a process sent, or `LOST` with (Video, reason): a video over which several
        processes died.

    Raises
    ------
    AslKitError
        What a process raised; or if processes die at their start.
    """
    coordinator = Coordinator(deque(files))
    workers = [_DeviceWorker(number, device, target, arguments) for number, device in enumerate(devices, start=1)]
    try:
        while not coordinator.is_finished:
            for worker in workers:
                worker.answer(coordinator)
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                try:
                    kind, content = worker.receive()
                except ChildDiedError as died:
                    for lost in coordinator.lost(worker.name, f"the process died, {died}"):
                        yield LOST, lost
                    worker.restart(died)
                    continue
                if kind == RESULT:
                    video_id, content = content
                    coordinator.finished(worker.name, video_id)
                    yield kind, content
                elif kind == PROGRESS:
                    yield kind, content
                elif kind == _FAILED:
                    raise content
    finally:
        for worker in workers:
            worker.connection.close()  # all of them end at the same time
        for worker in workers:
            worker.end()


class _DeviceWorker:
    """A device's process, seen from the coordinator."""

    def __init__(self, number: int, device: str, target: Callable[..., None], arguments: Sequence[object]) -> None:
        self.name = f"{device} ({number})"
        self._wants_video = False
        self._child = ChildProcess(target, device, *arguments, name=f"asl-kit {self.name}", has_children=True)
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


class DeviceQueue:
    """The other end of the pipe, in a device's process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self) -> Video | None:
        """Return the next video; None if there is none: see `WorkQueue`."""
        self._connection.send((_GET, None))
        file: Video | None = self._connection.recv()
        return file

    def send_result(self, video_id: str, content: object) -> None:
        """Send what became of a video."""
        self._connection.send((RESULT, (video_id, content)))

    def send_progress(self, *content: object) -> None:
        """Send how far the work is."""
        self._connection.send((PROGRESS, content))

    def fail(self, fault: AslKitError) -> None:
        """Send the error that ends the run."""
        self._connection.send((_FAILED, fault))


class _JobQueue(DeviceQueue):
    """The `WorkQueue` of an extraction."""

    def on_result(self, result: VideoResult) -> None:
        self.send_result(result.video_id, result)

    def on_progress(self, videos: float, note: str) -> None:
        self.send_progress(videos, note)


def _run(connection: Connection, device: str, job: Job) -> None:
    queue = _JobQueue(connection)
    try:
        work(job, queue, device=device)
    except AslKitError as fault:
        queue.fail(fault)
