"""Decoding on the GPU: several videos at a time, each by a thread of this process on a CUDA stream of its own.

Frames stay on the device. They carry an event, for which the stream that uses them waits; neither the host nor the
other streams do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from contextlib import nullcontext
from dataclasses import replace
from queue import Empty, SimpleQueue

import torch

from asl_extract.decoders import VideoSource
from asl_extract.decoding.events import (
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
from asl_kit.errors import AslKitError

VIDEOS_AT_ONCE = 4
"""Data-centre GPUs have several decoders, and another video's frames fill the time in which one file is opened."""

_BLOCKS_AHEAD = 3
_END_S = 5.0


def decode_in_threads(
    videos: Iterable[NextVideo],
    settings: DecodeSettings,
    *,
    threads: int = VIDEOS_AT_ONCE,
    time_limit_s: float | None = None,
) -> Generator[tuple[str, Event], None, None]:
    """Yield the events of videos, several decoded at a time. Close the generator to end all threads.

    Each video's events come in order; those of different videos are mixed.

    Parameters
    ----------
    videos : iterable of NextVideo
        Taken one by one as threads become free.
    settings : DecodeSettings
        How to decode.
    threads : int
        Videos decoded at a time; 1 or more.
    time_limit_s : float, optional
        A video whose decoder delivers nothing for so long fails. Its thread cannot be ended, and is left behind.
    """
    events: SimpleQueue[tuple[_Thread, Event]] = SimpleQueue()
    slots = [_Thread(settings, events) for _ in range(threads)]
    waiting = NextVideos(videos)
    try:
        while True:
            for slot in slots:
                while slot.video is None and (video := waiting.take()) is not None:
                    video_id, path = video
                    if isinstance(path, AslKitError):
                        yield video_id, Failed(path)
                    else:
                        slot.give(video_id, path)
            busy = [slot for slot in slots if slot.video is not None]
            if not busy and not waiting.is_late:
                return
            try:
                slot, event = events.get(timeout=waiting.limit_s(_wait_limit_s(busy, time_limit_s)))
            except Empty:
                for index, slot in enumerate(slots):
                    if slot.video is not None and time_limit_s is not None and slot.silent_s > time_limit_s:
                        slots[index] = _Thread(settings, events)
                        slot.end(wait_s=0.0)
                        yield slot.video[0], Failed(stalled(slot.video[1], time_limit_s))
                continue
            if slot not in slots:
                continue  # it was given up
            assert slot.video is not None
            video_id = slot.video[0]
            slot.active_s = time.monotonic()
            if isinstance(event, Finished | Failed):
                slot.video = None
            yield video_id, event
    finally:
        for slot in slots:
            slot.end(wait_s=0.0)
        for slot in slots:
            slot.end(wait_s=_END_S)


def _wait_limit_s(busy: list[_Thread], time_limit_s: float | None) -> float | None:
    """Return how long to wait for events before the first thread exceeds its time limit."""
    if time_limit_s is None or not busy:
        return None
    return max(0.0, time_limit_s - max(slot.silent_s for slot in busy)) + 0.01


class _Thread:
    """A thread that decodes one video after the other; it starts with the first."""

    def __init__(self, settings: DecodeSettings, events: SimpleQueue[tuple[_Thread, Event]]) -> None:
        self.video: tuple[str, VideoSource] | None = None
        self.active_s = 0.0
        self._settings = settings
        self._events = events
        self._paths: SimpleQueue[VideoSource | None] = SimpleQueue()
        self._free_blocks = threading.Semaphore(_BLOCKS_AHEAD)
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since its last event."""
        return time.monotonic() - self.active_s

    def give(self, video_id: str, path: VideoSource) -> None:
        """Start to decode a video."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="asl-kit decoder", daemon=True)
            self._thread.start()
        self.video = (video_id, path)
        self.active_s = time.monotonic()
        self._paths.put(path)

    def end(self, *, wait_s: float) -> None:
        """Let the thread end after the block that it decodes."""
        self._ended = True
        self._free_blocks.release()
        self._paths.put(None)
        if self._thread is not None and wait_s:
            self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            device = torch.device(self._settings.device)
            stream = torch.cuda.Stream(device) if device.type == "cuda" else None
            with nullcontext() if stream is None else torch.cuda.stream(stream):
                while (path := self._paths.get()) is not None:
                    self._decode(path, stream)
        except Exception as fault:  # of CUDA: files' own are events
            self._events.put((self, Failed(AslKitError(f"{self._settings.device}: decoding failed: {fault}"))))

    def _decode(self, path: VideoSource, stream: torch.cuda.Stream | None) -> None:
        for event in decode_video(path, self._settings):
            if isinstance(event, Decoded):
                self._free_blocks.acquire()
                ready = None if stream is None else stream.record_event()
                event = replace(event, release=self._free_blocks.release, ready=ready)
            if self._ended:
                return
            self._events.put((self, event))
