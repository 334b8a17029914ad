"""The devices of this host: one process each, all at one store.

Processes are spawned. What a process that dies had in hand goes to the others; it is started anew.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from asl_extract.executors.work_queue import Dispatcher, Job, work
from asl_extract.videos import VideoFile
from asl_kit.base.child_process import describe_exit, end_with_parent
from asl_kit.errors import AslKitError
from asl_kit.store.staging import clear_stale

_END_S = 5.0
_MAX_FALSE_STARTS = 3
_NEXT, _TELL, _ADVANCE, _FAILED = "next", "tell", "advance", "failed"


def extract_on_devices(
    files: Sequence[VideoFile],
    job: Job,
    devices: Sequence[str],
    *,
    tell: Callable[[Any], None],
    advance: Callable[[float, str], None],
    give_up: Callable[[VideoFile, str], None],
) -> None:
    """Extract videos with one process a device.

    Parameters
    ----------
    files : sequence of VideoFile
        The videos, handed out in this order.
    job : Job
        What all processes do alike.
    devices : sequence of str
        Device of each process: ``cuda:0``; one may be named several times.
    tell, advance : callable
        Get what the processes tell their desks.
    give_up : callable
        Gets the videos that several processes died over, and the reason.

    Raises
    ------
    AslKitError
        What a process could not go on after, or if processes cannot be started.
    """
    dispatcher = Dispatcher(deque(files))
    workers = [_Worker(f"{device} ({number})", device, job) for number, device in enumerate(devices, start=1)]
    try:
        while not dispatcher.is_finished:
            for worker in workers:
                worker.answer(dispatcher)
            for connection in wait([worker.connection for worker in workers]):
                worker = next(worker for worker in workers if worker.connection is connection)
                try:
                    kind, content = worker.connection.recv()
                except (EOFError, OSError):
                    reason = worker.restart()
                    for file in dispatcher.lost(worker.name):
                        give_up(file, reason)
                    continue
                worker.false_starts = 0
                if kind == _NEXT:
                    worker.is_asking = True
                elif kind == _TELL:
                    dispatcher.settled(worker.name, content.video_id)
                    tell(content)
                elif kind == _ADVANCE:
                    advance(*content)
                else:
                    raise content
    finally:
        for worker in workers:
            worker.end()
        with suppress(OSError):
            clear_stale(job.store / "tmp")  # of workers that were killed while they wrote


class _Worker:
    """A process with a device, seen from the driver."""

    def __init__(self, name: str, device: str, job: Job) -> None:
        self.name = name
        self.is_asking = False
        self.false_starts = 0
        self._arguments = (job, device)
        self._start()

    def answer(self, dispatcher: Dispatcher) -> None:
        """Answer a worker that asks for a video, unless it has to wait."""
        if self.is_asking and (dispatcher.waiting or not dispatcher.has_nothing(self.name)):
            self.is_asking = False
            with suppress(OSError):  # it has died: seen when it is waited for
                self.connection.send(dispatcher.next(self.name))

    def restart(self) -> str:
        """Start a process in place of one that died, and return how it died."""
        self._process.join(_END_S)
        reason = f"the process died, {describe_exit(self._process.exitcode)}"
        self.false_starts += 1
        self.end()
        if self.false_starts == _MAX_FALSE_STARTS:
            raise AslKitError(
                f"{self.name}: no process lives there: {reason}", hint="try this device alone: --device NAME"
            )
        self._start()
        return reason

    def end(self) -> None:
        """Kill the process; nothing is lost but what it has in hand."""
        self._process.kill()
        self._process.join(_END_S)
        self.connection.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.is_asking = False
        # Not a daemon: those may not have processes of their own, and this one's decode.
        self._process = context.Process(target=_run, args=(theirs, *self._arguments), name=f"asl-kit {self.name}")
        self._process.start()
        theirs.close()


class _PipeDesk:
    """A desk at the other end of a pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def next(self) -> VideoFile | None:
        self._connection.send((_NEXT, None))
        file: VideoFile | None = self._connection.recv()
        return file

    def tell(self, news: Any) -> None:
        self._connection.send((_TELL, news))

    def advance(self, videos: float, note: str) -> None:
        self._connection.send((_ADVANCE, (videos, note)))


def _run(connection: Connection, job: Job, device: str) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):
        try:
            work(job, _PipeDesk(connection), device=device)
        except AslKitError as fault:
            connection.send((_FAILED, fault))
