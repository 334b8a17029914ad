"""A worker: extracts videos into a store."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from asl_extract.decoding.events import NextVideo
from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.intake import Accepted, Intake
from asl_extract.executors.results import VideoResult, store_video
from asl_extract.executors.work_queue import WorkQueue
from asl_extract.extractor import Extractor
from asl_extract.remote.ahead import prepare_ahead
from asl_extract.remote.cache import VideoCache
from asl_extract.remote.ready import is_remote
from asl_extract.settings import RunOptions
from asl_extract.videos import Video
from asl_kit.errors import StoreError
from asl_kit.store import FeatureStore

_MAX_WRITES = 2  # writing takes a few milliseconds, in which the device would wait; features take memory
_PARTS_PER_VIDEO = 1024  # a power of two: the parts of a video add up to exactly 1


def work(job: Job, queue: WorkQueue, *, device: str) -> None:
    """Extract the videos of a queue, in a process or on a host of its own.

    Raises
    ------
    AslKitError
        If the job cannot be done, or a video fails and the options say to stop then.
    """
    if not (job.store / "zarr.json").is_file():
        raise StoreError(
            f"{job.store}: the host {socket.gethostname()} does not see this store",
            hint="several hosts can fill one store only on a file system that all of them share",
        )
    worker = Worker(*job.open(device), job.options, queue)
    while (first := queue.get()) is not None:
        worker.process(chain([first], iter(queue.get, None)))


class Worker:
    """Extracts videos that a store lacks, or holds from another file; the store has the extractor's spec."""

    def __init__(self, extractor: Extractor, store: FeatureStore, options: RunOptions, callbacks: Callbacks) -> None:
        self._extractor = extractor
        self._store = store
        self._options = options
        self._callbacks = callbacks
        self._started_s = time.monotonic()
        self._frames_before = extractor.count.decoded
        self._count_reported = replace(extractor.count)
        self._videos: dict[str, _VideoProgress] = {}
        self._writes: deque[tuple[str, Future[VideoResult]]] = deque()  # in progress, by a thread
        # If a failure is to stop the run, no later video may be written before it is known.
        self._max_writes = 0 if options.on_error == "stop" else _MAX_WRITES

    def process(self, videos: Iterable[Video]) -> None:
        """Extract videos, taken one by one as decoders become free.

        Raises
        ------
        AslKitError
            If a video fails and the options say to stop then, or the store cannot be written.
        """
        folder = Path(str(self._store.path)) / "tmp"
        folder.mkdir(exist_ok=True)
        with ExitStack() as stack:
            cache = stack.enter_context(VideoCache(self._options.cache_settings))
            intake = Intake(self._store, self._options, cache)
            results = self._extractor.extract_all(
                self._pending(videos, intake),
                workers=self._options.workers,
                time_limit_s=self._options.time_limit_s,
                folder=folder,
                on_frames=self._on_frames,
            )
            writer = stack.enter_context(ThreadPoolExecutor(1, "asl-kit writer"))
            stack.enter_context(closing(results))
            for video_id, extracted in results:
                video = self._videos[video_id]
                write = writer.submit(
                    store_video,
                    self._store,
                    video_id,
                    video.accepted.ready.named(extracted),
                    source=video.accepted.identity,
                    is_changed=video.accepted.is_changed,
                    seconds=time.monotonic() - video.started_s,
                    on_error=self._options.on_error,
                )
                cache.release(video.accepted.ready.copy)
                self._writes.append((video_id, write))
                self._report_written(leave=self._max_writes)
            self._report_written(leave=0)

    def _report_written(self, *, leave: int) -> None:
        """Report the videos that are written, in order; wait until at most `leave` are not."""
        while self._writes and (len(self._writes) > leave or self._writes[0][1].done()):
            video_id, write = self._writes.popleft()
            try:
                result = write.result()
            finally:
                self._show_progress(video_id, _PARTS_PER_VIDEO)
                del self._videos[video_id]
            self._report(result)

    def _pending(self, videos: Iterable[Video], intake: Intake) -> Iterator[NextVideo]:
        """Yield the videos to extract, or None as long as the next one is being fetched; report the others."""
        for decided in prepare_ahead(videos, intake.decide, is_slow=is_remote):
            if decided is None:
                yield None
            elif isinstance(decided, VideoResult):
                self._report(decided, videos=1.0)
            else:
                video_id = decided.ready.video.video_id
                self._videos[video_id] = _VideoProgress(time.monotonic(), decided)
                yield video_id, decided.ready.source

    def _report(self, result: VideoResult, *, videos: float = 0.0) -> None:
        if videos:
            self._callbacks.on_progress(videos, "")
        count, reported = self._extractor.count, self._count_reported
        self._count_reported = replace(count)
        decoded, in_files = count.decoded - reported.decoded, count.in_files - reported.in_files
        result = replace(result, frames_decoded=decoded, frames_in_files=in_files)
        if self._extractor.device.type != "cpu":
            waited_s = count.waited_s - reported.waited_s
            result = replace(result, device_s=count.seconds - reported.seconds, device_waited_s=waited_s)
        self._callbacks.on_result(result)

    def _on_frames(self, video_id: str, frames: int, total: int) -> None:
        video = self._videos[video_id]
        self._report_written(leave=self._max_writes)
        video.frames += frames
        self._show_progress(video_id, video.frames * (_PARTS_PER_VIDEO - 1) // total)

    def _show_progress(self, video_id: str, parts: int) -> None:
        video = self._videos[video_id]
        frames = self._extractor.count.decoded - self._frames_before
        frames_per_second = frames / max(time.monotonic() - self._started_s, 1e-9)
        self._callbacks.on_progress(
            (parts - video.parts) / _PARTS_PER_VIDEO, f"{frames_per_second:.0f} frames/s  {video_id}"
        )
        video.parts = parts


@dataclass
class _VideoProgress:
    started_s: float
    accepted: Accepted
    frames: int = 0
    parts: int = 0
