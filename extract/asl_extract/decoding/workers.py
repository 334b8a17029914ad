"""Decoding in other processes; frames are handed over through shared memory.

Each worker opens one video after the other and copies the frames that clips need into its buffers of one block of
shared memory. It sends the buffer's number through a pipe, and waits when no buffer is free: memory is bounded
whatever the videos are. A worker that crashes, or that delivers nothing for too long, costs its video only: another
process takes its place. Python's resource tracker, which outlives both, removes the shared memory.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_extract.decoders import GPU_DECODERS, VideoSource
from asl_extract.decoding.events import (
    BLOCK_BYTES,
    Decoded,
    DecodeSettings,
    Event,
    Failed,
    Finished,
    NextVideo,
    NextVideos,
    decode_video,
    stalled,
)
from asl_kit.base.child_process import MAX_FAILED_STARTS, ChildDiedError, ChildProcess
from asl_kit.errors import AslKitError, VideoError

BUFFERS_PER_WORKER = 3
"""One being filled, one being read, one between them."""

WORKERS_ON_CPU = 1
"""Default number of processes that decode for a backbone on a CPU."""

_SHARED_MEMORY_FOLDER = Path("/dev/shm")

Memory = NDArray[np.uint8]


@dataclass(frozen=True)
class _InSharedMemory:
    """`Decoded`, with its frames in a buffer of shared memory."""

    count: int
    buffer: int
    shape: tuple[int, ...]


def choose_workers(device_type: str, *, decoder: str, devices: int = 1) -> int:
    """Return the default number of processes that decode for each of `devices` devices.

    A GPU gets all cores but the one that feeds it; processes start as there are videos for them. On a CPU the backbone
    uses every core: one process decodes, so that a file which crashes its decoder does no other harm; more processes
    would only take time (tests/benchmarks/extract_throughput.py). A decoder on the GPU decodes in the process that
    computes.
    """
    if decoder in GPU_DECODERS:
        return 0
    if device_type == "cpu":
        return WORKERS_ON_CPU
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // devices - 1)


def decode_in_workers(
    videos: Iterable[NextVideo],
    settings: DecodeSettings,
    *,
    workers: int,
    time_limit_s: float | None = None,
    pin: Callable[[Memory], Callable[[], None]] | None = None,
    finish_copies: Callable[[], None] = lambda: None,
) -> Generator[tuple[str, Event], None, None]:
    """Yield the events of videos, several decoded at a time. Close the generator to end all workers.

    Each video's events come in order; those of different videos are mixed.

    Parameters
    ----------
    videos : iterable of NextVideo
        Taken one by one as workers become free.
    settings : DecodeSettings
        How to decode.
    workers : int
        Processes; 1 or more.
    time_limit_s : float, optional
        A worker that delivers nothing for so long, though it has a free buffer, is killed, and its video fails.
    pin : callable, optional
        Registers the shared memory with a GPU; returns a function that undoes it.
    finish_copies : callable
        Waits until nothing reads the frames any more; called before the shared memory ends.

    Raises
    ------
    AslKitError
        If processes cannot be started, or there is not enough shared memory.
    """
    buffer_bytes = _buffer_bytes(workers)
    shared = _new_shared_memory(buffer_bytes * BUFFERS_PER_WORKER * workers)
    memory: Memory = np.ndarray((shared.size,), np.uint8, buffer=shared.buf)
    unpin = pin(memory) if pin is not None else None
    slots = [
        _WorkerSlot(
            shared.name, memory, first_buffer=index * BUFFERS_PER_WORKER, buffer_bytes=buffer_bytes, settings=settings
        )
        for index in range(workers)
    ]
    try:
        waiting = NextVideos(videos)
        while True:
            for slot in slots:
                while slot.video is None and (video := waiting.take()) is not None:
                    video_id, path = video
                    if isinstance(path, AslKitError):
                        yield video_id, Failed(path)
                    else:
                        slot.start((video_id, path))
            busy = [slot for slot in slots if slot.video is not None]
            if not busy and not waiting.is_late:
                return
            limit_s = waiting.limit_s(_wait_limit_s(busy, time_limit_s))
            ready = wait([slot.connection for slot in busy], timeout=limit_s)
            for slot in busy:
                if slot.connection in ready:
                    event = slot.receive()
                elif time_limit_s is not None and slot.silent_s > time_limit_s:
                    event = slot.give_up(time_limit_s)
                else:
                    continue
                if event is not None:
                    yield slot.last_video_id, event
    finally:
        for slot in slots:
            slot.end()
        try:
            finish_copies()
        finally:
            if unpin is not None:
                unpin()
            shared.unlink()
            del memory, slots
            with suppress(BufferError):  # frames are still in use: the memory is freed with them
                shared.close()


class _WorkerSlot:
    """A worker's part of the shared memory, and the process that uses it at the moment."""

    def __init__(
        self, memory_name: str, memory: Memory, *, first_buffer: int, buffer_bytes: int, settings: DecodeSettings
    ) -> None:
        self.video: tuple[str, VideoSource] | None = None
        self.last_video_id = ""
        self._memory = memory
        self._buffer_bytes = buffer_bytes
        self._buffers = range(first_buffer, first_buffer + BUFFERS_PER_WORKER)
        self._in_use: set[int] = set()  # their frames may still be copied, even if the process that filled them died
        arguments = (memory_name, buffer_bytes, settings)
        self._child = ChildProcess(_work, *arguments, name="asl-kit decoder", memory_bytes=settings.memory_bytes)

    @property
    def connection(self) -> Connection:
        return self._child.connection

    @property
    def silent_s(self) -> float:
        """Seconds for which the worker has delivered nothing, though it had a free buffer."""
        return 0.0 if len(self._in_use) == BUFFERS_PER_WORKER else self._child.silent_s

    def start(self, video: tuple[str, VideoSource]) -> None:
        """Give a video to the worker, in a new process if none runs."""
        self.video = video
        self.last_video_id = video[0]
        if not self._child.is_alive:
            self._child.start()
            for buffer in self._buffers:
                if buffer not in self._in_use:
                    self._child.send(buffer)
        self._child.send(video[1])

    def receive(self) -> Event | None:
        """Return the next event; None if the worker has only said that it is ready."""
        try:
            message = self._child.receive()
        except ChildDiedError as died:
            return self._restart(died)
        if isinstance(message, _InSharedMemory):
            return self._decoded(message)
        if isinstance(message, (Finished, Failed)):
            self.video = None
        event: Event | None = message
        return event

    def give_up(self, time_limit_s: float) -> Event:
        """Kill the worker, which delivers nothing."""
        assert self.video is not None
        path = self.video[1]
        self.end()
        return Failed(stalled(path, time_limit_s))

    def end(self) -> None:
        """Kill the worker, if it runs; its video is lost, nothing else."""
        self.video = None
        self._child.end()

    def _decoded(self, message: _InSharedMemory) -> Decoded:
        start = message.buffer * self._buffer_bytes
        frames = self._memory[start : start + int(np.prod(message.shape))].reshape(message.shape)
        self._in_use.add(message.buffer)

        def release() -> None:
            self._in_use.discard(message.buffer)
            self._child.send(message.buffer)  # to the process of now, which may have taken the place of another

        return Decoded(message.count, frames, release)

    def _restart(self, died: ChildDiedError) -> Event | None:
        """Return that the video failed; or, if the process never ran, give the video to another."""
        assert self.video is not None
        video, self.video = self.video, None
        if died.was_ready:
            hint = "try another --decoder"
            if died.exit_code == -9:
                hint = "the system kills processes when memory is short: use fewer --workers"
            return Failed(VideoError(f"{video[1]}: the decoder crashed, {died}", hint=hint))
        if self._child.failed_starts == MAX_FAILED_STARTS:
            raise AslKitError(
                f"decoder processes cannot be started: {died}",
                hint="use --workers 0; in a script of your own, keep what runs under `if __name__ == '__main__':`",
            )
        self.start(video)
        return None


def _wait_limit_s(busy: list[_WorkerSlot], time_limit_s: float | None) -> float | None:
    """Return how long to wait for messages before the first worker exceeds its time limit."""
    if time_limit_s is None or not busy:
        return None
    return max(0.0, time_limit_s - max(slot.silent_s for slot in busy)) + 0.01


def _buffer_bytes(workers: int) -> int:
    """Return the size of a buffer: a block of frames, or less if shared memory is short, as in many containers."""
    if not _SHARED_MEMORY_FOLDER.is_dir():
        return BLOCK_BYTES
    # Pages are allocated on first use: writing beyond what is free would be a crash (SIGBUS), not an error.
    free = shutil.disk_usage(_SHARED_MEMORY_FOLDER).free
    return max(2**16, min(BLOCK_BYTES, free // 2 // (BUFFERS_PER_WORKER * workers)))


def _new_shared_memory(size: int) -> SharedMemory:
    name = f"asl-kit-{os.getpid()}-{secrets.token_hex(4)}"
    # Python registers it when it exists: it would stay for ever if the process were killed in between.
    resource_tracker.register(f"/{name}", "shared_memory")
    try:
        return SharedMemory(name, create=True, size=size)
    except OSError as fault:
        resource_tracker.unregister(f"/{name}", "shared_memory")
        raise AslKitError(
            f"{size / 2**20:.0f} MiB of shared memory are not available: {fault.strerror}", hint="use --workers 0"
        ) from fault


def _work(connection: Connection, memory_name: str, buffer_bytes: int, settings: DecodeSettings) -> None:
    """Decode what the parent asks for into the buffers that it sends, until it closes the pipe."""
    shared = SharedMemory(memory_name)
    free: deque[int] = deque()
    connection.send(None)  # ready
    while True:
        message = connection.recv()
        if isinstance(message, int):
            free.append(message)
            continue
        for event in decode_video(message, settings):
            if isinstance(event, Decoded):
                _hand_over(event, connection, shared, free, buffer_bytes=buffer_bytes)
            else:
                connection.send(event)


def _hand_over(
    event: Decoded, connection: Connection, shared: SharedMemory, free: deque[int], *, buffer_bytes: int
) -> None:
    """Copy frames into buffers as they become free; a frame larger than a buffer goes through the pipe."""
    frames = event.frames
    assert isinstance(frames, np.ndarray)  # decoders on a GPU are refused here: see `check_decoder`
    if not len(frames) or frames[0].nbytes > buffer_bytes:
        connection.send(event)
        return
    frames_per_buffer = buffer_bytes // frames[0].nbytes
    count = event.count
    for start in range(0, len(frames), frames_per_buffer):
        piece = frames[start : start + frames_per_buffer]
        while not free or connection.poll():
            free.append(connection.recv())
        buffer = free.popleft()
        np.ndarray(piece.shape, np.uint8, buffer=shared.buf, offset=buffer * buffer_bytes)[...] = piece
        connection.send(_InSharedMemory(count, buffer, piece.shape))
        count = 0
