"""Child processes: what all of them share, and one that reads files in place of its parent.

Spawned, not forked: decoders do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

from asl_kit.errors import AslKitError, VideoError

MEMORY_BYTES = 4 * 2**30
"""What a decoder process may hold: some 30 frames of 7680 x 4320 with what becomes of them."""

TIME_LIMIT_S = 300.0
"""Nothing decoded for so long: a decoder that hangs, and not a large frame or a slow disk."""

_END_S = 5.0

Answer = TypeVar("Answer")


class ReaderProcess:
    """A process that reads files, so that one which crashes or stalls its reader costs this process nothing.

    Started when it is first needed, and again after each such file. To be left as a context manager.

    Parameters
    ----------
    time_limit_s : float
        How long a file may take.
    memory_bytes : int
        Data that the process may hold.
    """

    def __init__(self, *, time_limit_s: float = TIME_LIMIT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._time_limit_s, self._memory_bytes = time_limit_s, memory_bytes
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection

    def __enter__(self) -> ReaderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, function: Callable[[Path], Answer], path: Path) -> Answer:
        """Return what a function says of a file.

        Parameters
        ----------
        function : callable
            Of a module, so that the other process finds it by its name.
        path : Path
            The file.

        Raises
        ------
        AslKitError
            What the function raises; or if no process can be started.
        VideoError
            If the process crashed over the file, or took too long.
        """
        if self._process is None or not self._process.is_alive():  # it may have died while it had nothing to do
            self._end()
            self._start()
        try:
            self._connection.send((function, path))
            answered = self._connection.poll(self._time_limit_s)
            answer: Answer | AslKitError | None = self._connection.recv() if answered else None
        except (EOFError, OSError):
            raise VideoError(f"{path}: reading it crashed the process that did, {self._end()}") from None
        if not answered:
            self._end()
            raise VideoError(f"{path}: not read within {self._time_limit_s:g} s")
        if isinstance(answer, AslKitError):
            raise answer
        return cast(Answer, answer)

    def _start(self) -> None:
        self._process, self._connection = start_child(_serve, self._memory_bytes, name="asl-kit reader")
        try:
            self._connection.recv()
        except (EOFError, OSError):
            raise AslKitError(
                f"a process to read files cannot be started: {self._end()}",
                hint="in a script of your own, keep what runs under `if __name__ == '__main__':`",
            ) from None

    def _end(self) -> str:
        """End the process, if there is one; return how it ended, if by itself."""
        process, self._process = self._process, None
        if process is None:
            return ""
        self._connection.close()  # which ends it, unless it is at work
        process.join(0.1)
        process.kill()
        process.join(_END_S)
        return describe_exit(process.exitcode)


def _serve(connection: Connection, memory_bytes: int) -> None:
    """Read what the parent asks for, until it goes."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        connection.send(None)  # it runs
        limit_memory(memory_bytes)
        while True:
            function, path = connection.recv()
            try:
                answer = function(path)
            except AslKitError as fault:
                answer = fault
            except MemoryError:
                answer = VideoError(f"{path}: reading it takes more than {memory_bytes / 2**30:g} GB of memory")
            connection.send(answer)


def start_child(
    target: Callable[..., None], *arguments: object, name: str
) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """Start a process; return it, and the connection whose other end is the first argument of its function."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True, name=name)
    with _interrupts_held_back():
        process.start()
    theirs.close()
    return process, ours


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: the parent ends it, and prints the one message."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Wait for the parent process to end, however it does, and end this one: for a thread of its own."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def limit_memory(memory_bytes: int) -> None:
    """Let a file that asks for more memory than any film needs fail, rather than the machine run out of it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def describe_exit(code: int | None) -> str:
    """Return how a process ended, in words: an exit code, or the signal that ended it."""
    if code is None:
        return "and its process does not end"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
