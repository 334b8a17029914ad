"""A worker: extracts videos into a store."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path

from asl_extract.decoders import VideoSource
from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.results import VideoResult, refuse_changed, store_video
from asl_extract.executors.work_queue import WorkQueue
from asl_extract.extractor import Extractor
from asl_extract.settings import RunOptions
from asl_extract.videos import VideoFile
from asl_kit.base.image_names import FLOW_FOLDERS, scan_images
from asl_kit.errors import AslKitError, StoreError
from asl_kit.store import FeatureStore
from asl_kit.store.identity import FileIdentity, SourceCheck
from asl_kit.store.ledger import Attempt

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

    def process(self, files: Iterable[VideoFile]) -> None:
        """Extract videos, taken one by one as decoders become free.

        Raises
        ------
        AslKitError
            If a video fails and the options say to stop then, or the store cannot be written.
        """
        folder = self._store.path / "tmp"
        folder.mkdir(exist_ok=True)
        pending = self._pending(files)
        results = self._extractor.extract_all(
            pending,
            workers=self._options.workers,
            time_limit_s=self._options.time_limit_s,
            folder=folder,
            on_frames=self._on_frames,
        )
        with ThreadPoolExecutor(1, "asl-kit writer") as writer, closing(results):
            for video_id, extracted in results:
                video = self._videos[video_id]
                write = writer.submit(
                    store_video,
                    self._store,
                    video_id,
                    extracted,
                    source=video.source,
                    is_changed=video.is_changed,
                    seconds=time.monotonic() - video.started_s,
                    on_error=self._options.on_error,
                )
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

    def _pending(self, files: Iterable[VideoFile]) -> Iterator[tuple[str, VideoSource | AslKitError]]:
        """Yield the videos to extract; report the others."""
        failed = {} if self._options.retry_failed else self._store.ledger.failed_attempts()
        for file in files:
            before = failed.get(file.video_id)
            is_changed = False
            if file.video_id in self._store:
                check = self._check(file)
                is_changed = check.state == "changed"
                if not is_changed:
                    self._report(VideoResult(file.video_id, "skipped", check.reason), videos=1.0)
                    continue
                if not self._options.replace_changed:
                    refused = refuse_changed(file.video_id, check.reason, on_error=self._options.on_error)
                    self._report(refused, videos=1.0)
                    continue
            elif before is not None and not _has_changed_since(file.path, before):
                self._report(VideoResult(file.video_id, "failed_before", before.reason), videos=1.0)
                continue
            self._videos[file.video_id] = _VideoProgress(time.monotonic(), _identity_of(file.path), is_changed)
            yield file.video_id, file.id_fault or file.source

    def _check(self, file: VideoFile) -> SourceCheck:
        """Compare a stored video with its file, or with its images and their frame rate."""
        check = self._store.check_source(file.video_id, partial(FileIdentity.of, file.path))
        if check.state != "same" or file.image_fps is None:
            return check
        fps = self._store.info(file.video_id).fps
        if file.image_fps == fps:
            return check
        reason = f"the stored features were made at {fps:g} images per second, not {file.image_fps:g}"
        return SourceCheck("changed", f"{file.path}: {reason}")

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
    source: FileIdentity | None
    """The file before it is decoded: if it is still being written, a later run finds that it has changed."""
    is_changed: bool
    """Whether the store holds features of another file under this id."""
    frames: int = 0
    parts: int = 0


def _identity_of(path: Path) -> FileIdentity | None:
    """Return a file's identity; None if it cannot be read, which the decoder then reports."""
    try:
        return FileIdentity.of(path)
    except OSError:
        return None


def _has_changed_since(path: Path, attempt: Attempt) -> bool:
    """Whether a file, or one in a folder of images, was replaced or repaired after an attempt at it."""
    try:
        folders = [path, *(folder for name in FLOW_FOLDERS if (folder := path / name).is_dir())]
        times_s = [_changed_s(folder.stat()) for folder in folders]
        if path.is_dir():
            times_s += [_changed_s(entry.stat()) for _, entry in scan_images(path)]
    except OSError:
        return False
    return max(times_s) > datetime.fromisoformat(attempt.time).timestamp()


def _changed_s(found: os.stat_result) -> float:
    return max(found.st_mtime, found.st_ctime)
