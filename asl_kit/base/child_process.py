"""Child processes, and one that reads files in place of its parent.

Children are spawned, not forked: decoders do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, TypeVar, cast

from asl_kit.errors import AslKitError, VideoError

MEMORY_BYTES = 4 * 2**30
"""Memory limit of a process that decodes: about 30 frames of 7680 x 4320 and their copies."""

TIME_LIMIT_S = 300.0
"""Time without a decoded frame after which a decoder hangs, rather than works on a large frame or a slow disk."""

MAX_FAILED_STARTS = 3
"""Attempts to start a process, before that is an error."""

_END_S = 5.0

Answer = TypeVar("Answer")
File = TypeVar("File")


class ChildDiedError(Exception):
    """A child process ended by itself, before or after it was ready. The text says how: ``signal 9 (SIGKILL)``."""

    def __init__(self, exit_code: int | None, *, was_ready: bool) -> None:
        super().__init__(describe_exit(exit_code))
        self.exit_code = exit_code
        self.was_ready = was_ready


class ChildProcess:
    """A process at the other end of a pipe, which can be started again after it died.

    Ctrl-C does not reach it: the parent ends it and prints the only message. It ends with its parent, however the
    parent ends. It is ready once it has sent its first message.

    Parameters
    ----------
    target : callable
        A module's function; the process runs ``target(connection, *arguments)``.
    arguments : object
        Pickled for `target`.
    name : str
        Name of the process.
    memory_bytes : int, optional
        Data that the process may hold.
    has_children : bool
        Whether the process starts processes itself.

    Attributes
    ----------
    connection : Connection
        This end of the pipe, once the process was started.
    failed_starts : int
        How often in a row it died before it was ready.
    """

    connection: Connection

    def __init__(
        self,
        target: Callable[..., None],
        *arguments: object,
        name: str,
        memory_bytes: int | None = None,
        has_children: bool = False,
    ) -> None:
        self.failed_starts = 0
        self._arguments = (memory_bytes, target, *arguments)
        self._name = name
        self._is_daemon = not has_children  # a daemon may not have children
        self._process: multiprocessing.process.BaseProcess | None = None
        self._is_ready = False
        self._active_s = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    @property
    def silent_s(self) -> float:
        """Seconds since the last message in either direction."""
        return time.monotonic() - self._active_s

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.is_alive:
            return
        self.end()
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(theirs, *self._arguments), daemon=self._is_daemon, name=self._name
        )
        with _interrupts_blocked():
            self._process.start()
        theirs.close()
        self._is_ready = False
        self._active_s = time.monotonic()

    def send(self, message: object) -> None:
        """Send a message. If the process died, `receive` says so."""
        with suppress(OSError):
            self.connection.send(message)
        self._active_s = time.monotonic()

    def receive(self, *, time_limit_s: float | None = None) -> Any:
        """Return the next message; wait for it if need be.

        Raises
        ------
        ChildDiedError
            If the process died. `start` starts another.
        TimeoutError
            If no message came within `time_limit_s`.
        """
        try:
            has_come = self.connection.poll(time_limit_s)
            message = self.connection.recv() if has_come else None
        except (EOFError, OSError):
            raise self._died() from None
        if not has_come:
            raise TimeoutError
        self._active_s = time.monotonic()
        self._is_ready = True
        self.failed_starts = 0
        return message

    def end(self) -> None:
        """Kill the process, if it runs. One with children gets some time to end them after its pipe is closed."""
        process, self._process = self._process, None
        if process is not None:
            self.connection.close()
            if self._is_ready and not self._is_daemon:
                process.join(_END_S)
            process.kill()
            process.join(_END_S)

    def _died(self) -> ChildDiedError:
        assert self._process is not None
        self._process.join(_END_S)
        exit_code = self._process.exitcode
        self.end()
        if not self._is_ready:
            self.failed_starts += 1
        return ChildDiedError(exit_code, was_ready=self._is_ready)


class ReaderProcess:
    """A context manager for reading files in a process, which a damaged file may crash or stall.

    Parameters
    ----------
    time_limit_s : float
        How long a file may take.
    memory_bytes : int
        Data that the process may hold.
    """

    def __init__(self, *, time_limit_s: float = TIME_LIMIT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._time_limit_s = time_limit_s
        self._child = ChildProcess(_serve, memory_bytes, name="asl-kit reader", memory_bytes=memory_bytes)

    def __enter__(self) -> ReaderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.end()

    def run(self, function: Callable[[File], Answer], path: File) -> Answer:
        """Return ``function(path)``, called in the process.

        Parameters
        ----------
        function : callable
            A module's function, found by its name.
        path : Path
            The file, or another value that names it when printed.

        Raises
        ------
        AslKitError
            What the function raises; or if the process cannot be started.
        VideoError
            If the process crashed over the file, or took too long.
        """
        if not self._child.is_alive:
            self._child.start()
            try:
                self._child.receive()
            except ChildDiedError as died:
                raise AslKitError(
                    f"a process to read files cannot be started: {died}",
                    hint="in a script of your own, keep what runs under `if __name__ == '__main__':`",
                ) from None
        try:
            self._child.send((function, path))
            answer = self._child.receive(time_limit_s=self._time_limit_s)
        except TimeoutError:
            self._child.end()
            raise VideoError(f"{path}: not read within {self._time_limit_s:g} s") from None
        except ChildDiedError as died:
            raise VideoError(f"{path}: the process that read it crashed, {died}") from None
        if isinstance(answer, AslKitError):
            raise answer
        return cast(Answer, answer)


def _serve(connection: Connection, memory_bytes: int) -> None:
    """Call what the parent asks for, until it closes the pipe."""
    connection.send(None)  # ready
    while True:
        function, path = connection.recv()
        try:
            answer = function(path)
        except AslKitError as fault:
            answer = fault
        except MemoryError:
            answer = VideoError(f"{path}: reading it takes more than {memory_bytes / 2**30:g} GB of memory")
        connection.send(answer)


def _run(connection: Connection, memory_bytes: int | None, target: Callable[..., None], *arguments: object) -> None:
    """Run in the child."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    with suppress(EOFError, ConnectionError):  # the parent closed the pipe
        target(connection, *arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT for processes that are started meanwhile: they inherit the mask."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # unblocks SIGINT when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_exit(code: int | None) -> str:
    """Return how a process ended, in words: an exit code, or the signal that ended it."""
    if code is None:
        return "it does not end"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
