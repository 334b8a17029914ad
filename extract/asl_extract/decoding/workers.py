"""Decoding in other processes, frames handed over through shared memory.

Each worker opens one video after the other and copies the frames that are
needed into its slots of one block of shared memory. It says which slot by a
pipe, and waits when none is free; so memory is bounded whatever the videos are.
A worker that crashes, or that delivers nothing for too long, costs its video
only: another takes its place.

Workers are spawned, not forked: decoders do not survive a fork. A worker ends
when its parent does, however that ends; the shared memory is then removed by
Python's resource tracker, which outlives both.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_extract.decoding.events import (
    BLOCK_BYTES,
    Decoded,
    DecodeSettings,
    Event,
    Failed,
    Finished,
    decode_video,
    stalled,
)
from asl_kit.base.child_process import describe_exit, end_with_parent, limit_memory, start_child
from asl_kit.errors import AslKitError, VideoError

SLOTS_PER_WORKER = 3
"""One being filled, one being read, one between them."""

_SHARED_MEMORY_FOLDER = Path("/dev/shm")
_END_S = 5.0
_MAX_FALSE_STARTS = 3

Memory = NDArray[np.uint8]


@dataclass(frozen=True)
class _InSlot:
    """`Decoded`, with its frames in shared memory."""

    count: int
    slot: int
    shape: tuple[int, ...]


def decode_in_workers(
    videos: Iterable[tuple[str, Path]],
    settings: DecodeSettings,
    *,
    workers: int,
    time_limit_s: float | None = None,
    pin: Callable[[Memory], Callable[[], None]] | None = None,
) -> Generator[tuple[str, Event], None, None]:
    """Yield the events of videos, several decoded at a time; close the iterator to end all workers.

    Each video's events come in order, those of different videos mixed.

    Parameters
    ----------
    videos : iterable of (str, Path)
        Ids and files, taken one by one as workers get free.
    settings : DecodeSettings
        How to decode.
    workers : int
        Processes; 1 or more.
    time_limit_s : float, optional
        A worker that delivers nothing for so long, though it has a free slot, is killed and its video has failed.
    pin : callable, optional
        Makes the shared memory known to a GPU; returns what undoes it.

    Raises
    ------
    AslKitError
        If processes cannot be started, or there is no shared memory.
    """
    slot_bytes = _slot_bytes(workers)
    shared = _new_shared_memory(slot_bytes * SLOTS_PER_WORKER * workers)
    memory: Memory = np.ndarray((shared.size,), np.uint8, buffer=shared.buf)
    unpin = pin(memory) if pin is not None else None
    seats = [
        _Seat(shared.name, memory, first_slot=index * SLOTS_PER_WORKER, slot_bytes=slot_bytes, settings=settings)
        for index in range(workers)
    ]
    try:
        waiting = iter(videos)
        while True:
            for seat in seats:
                if seat.video is None and (video := next(waiting, None)) is not None:
                    seat.begin(video)
            busy = [seat for seat in seats if seat.video is not None]
            if not busy:
                return
            ready = wait([seat.connection for seat in busy], timeout=_patience_s(busy, time_limit_s))
            for seat in busy:
                if seat.connection in ready:
                    event = seat.receive()
                elif time_limit_s is not None and seat.silent_s() > time_limit_s:
                    event = seat.give_up(time_limit_s)
                else:
                    continue
                if event is not None:
                    yield seat.last_video_id, event
    finally:
        for seat in seats:
            seat.end()
        if unpin is not None:
            unpin()
        shared.unlink()
        del memory, seats
        with suppress(BufferError):  # someone still looks at a frame: the memory goes when they do
            shared.close()


def count_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Seat:
    """A worker's place: its slots, and the process that has them at the moment."""

    def __init__(
        self, memory_name: str, memory: Memory, *, first_slot: int, slot_bytes: int, settings: DecodeSettings
    ) -> None:
        self.video: tuple[str, Path] | None = None
        self.last_video_id = ""
        self.connection: Connection
        self._arguments = (memory_name, first_slot, slot_bytes, settings)
        self._memory = memory
        self._first_slot = first_slot
        self._slot_bytes = slot_bytes
        self._process: multiprocessing.process.BaseProcess | None = None
        self._is_up = False  # whether this process has said that it runs
        self._false_starts = 0
        self._slots_in_use = 0
        self._heard_s = 0.0

    def begin(self, video: tuple[str, Path]) -> None:
        """Give a video to the worker, started anew where there is none."""
        self.video = video
        self.last_video_id = video[0]
        for _ in range(2):
            if self._process is None:
                self._start()
            self._heard_s = time.monotonic()
            try:
                self.connection.send(video[1])
                break
            except OSError:  # it died while it had nothing to do
                self.end()
                self.video = video

    def silent_s(self) -> float:
        """Return for how long the worker could have delivered something, and has not."""
        return 0.0 if self._slots_in_use == SLOTS_PER_WORKER else time.monotonic() - self._heard_s

    def receive(self) -> Event | None:
        """Return the next event; None if the worker has only said that it runs."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._crashed()
        self._heard_s = time.monotonic()
        if message is None:
            self._is_up = True
            self._false_starts = 0
            return None
        if isinstance(message, _InSlot):
            return self._decoded(message)
        if isinstance(message, (Finished, Failed)):
            self.video = None
        event: Event = message
        return event

    def give_up(self, time_limit_s: float) -> Event:
        """Kill the worker, which delivers nothing."""
        assert self.video is not None
        path = self.video[1]
        self.end()
        return Failed(stalled(path, time_limit_s))

    def end(self) -> None:
        """Kill the worker, if there is one; nothing is lost but what it has in hand."""
        self.video = None
        self._slots_in_use = 0
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join(_END_S)
            self.connection.close()

    def _start(self) -> None:
        self._is_up = False
        self._process, self.connection = start_child(_work, *self._arguments, name="asl-kit decoder")

    def _decoded(self, message: _InSlot) -> Decoded:
        connection, slots = self.connection, self._memory
        size = int(np.prod(message.shape))
        start = (self._first_slot + message.slot) * self._slot_bytes
        self._slots_in_use += 1

        def release() -> None:
            if connection is not self.connection:
                return  # that worker is gone, and its slots have been given to another
            if self._slots_in_use == SLOTS_PER_WORKER:
                self._heard_s = time.monotonic()
            self._slots_in_use -= 1
            with suppress(OSError):  # it has crashed: that is seen when its next message is missing
                connection.send(message.slot)

        return Decoded(message.count, slots[start : start + size].reshape(message.shape), release)

    def _crashed(self) -> Event | None:
        assert self.video is not None
        assert self._process is not None
        video = self.video
        self._process.join(_END_S)
        code = self._process.exitcode
        self.end()
        if self._is_up:
            hint = "try another --decoder"
            if code == -9:
                hint = "the system kills processes when memory is short: use fewer --workers"
            return Failed(VideoError(f"{video[1]}: the decoder crashed, {describe_exit(code)}", hint=hint))
        self._false_starts += 1
        if self._false_starts == _MAX_FALSE_STARTS:
            raise AslKitError(
                f"decoder processes cannot be started: {describe_exit(code)}",
                hint="use --workers 0; in a script of your own, keep what runs under `if __name__ == '__main__':`",
            )
        self.begin(video)
        return None


def _patience_s(busy: list[_Seat], time_limit_s: float | None) -> float | None:
    """Return how long to wait for messages before somebody's time is up."""
    if time_limit_s is None:
        return None
    return max(0.0, time_limit_s - max(seat.silent_s() for seat in busy)) + 0.01


def _slot_bytes(workers: int) -> int:
    """Return the size of a slot: a block, or less where shared memory is short, as it is in many containers."""
    if not _SHARED_MEMORY_FOLDER.is_dir():
        return BLOCK_BYTES
    # Pages are had on first use: writing beyond what there is would be a crash (SIGBUS), not an error.
    free = shutil.disk_usage(_SHARED_MEMORY_FOLDER).free
    return max(2**16, min(BLOCK_BYTES, free // 2 // (SLOTS_PER_WORKER * workers)))


def _new_shared_memory(size: int) -> SharedMemory:
    try:
        return SharedMemory(f"asl-kit-{os.getpid()}-{secrets.token_hex(4)}", create=True, size=size)
    except OSError as fault:
        raise AslKitError(
            f"{size / 2**20:.0f} MiB of shared memory cannot be had: {fault.strerror}", hint="use --workers 0"
        ) from fault


def _work(connection: Connection, memory_name: str, first_slot: int, slot_bytes: int, settings: DecodeSettings) -> None:
    """Decode what the parent asks for, until it goes."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    shared = SharedMemory(memory_name)
    free = deque(range(SLOTS_PER_WORKER))
    with suppress(EOFError, ConnectionError):
        connection.send(None)
        limit_memory(settings.memory_bytes)
        while True:
            message = connection.recv()
            if isinstance(message, int):
                free.append(message)
                continue
            for event in decode_video(message, settings):
                if isinstance(event, Decoded):
                    _hand_over(event, connection, shared, free, first_slot=first_slot, slot_bytes=slot_bytes)
                else:
                    connection.send(event)


def _hand_over(
    event: Decoded,
    connection: Connection,
    shared: SharedMemory,
    free: deque[int],
    *,
    first_slot: int,
    slot_bytes: int,
) -> None:
    """Copy frames into slots as they get free; a frame larger than a slot goes through the pipe."""
    frames = event.frames
    assert isinstance(frames, np.ndarray)  # a decoder on a GPU is not for other processes: see `check_decoder`
    if not len(frames) or frames[0].nbytes > slot_bytes:
        connection.send(event)
        return
    frames_per_slot = slot_bytes // frames[0].nbytes
    count = event.count
    for start in range(0, len(frames), frames_per_slot):
        piece = frames[start : start + frames_per_slot]
        while not free or connection.poll():
            free.append(connection.recv())
        slot = free.popleft()
        place = (first_slot + slot) * slot_bytes
        np.ndarray(piece.shape, np.uint8, buffer=shared.buf, offset=place)[...] = piece
        connection.send(_InSlot(count, slot, piece.shape))
        count = 0
