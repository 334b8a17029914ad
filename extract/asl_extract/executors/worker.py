"""A worker: extracts the videos of a queue into a store, and records those that fail."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from asl_extract.executors.base import Job, VideoResult
from asl_extract.executors.work_queue import WorkQueue
from asl_extract.extractor import ExtractedVideo, Extractor
from asl_extract.settings import RunOptions
from asl_extract.videos import VideoFile, check_id
from asl_kit.errors import AslKitError, FeatureError, MissingFileError, StoreError, VideoError
from asl_kit.store import FeatureStore
from asl_kit.store.ledger import Attempt

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
    extractor, store = job.open(device)
    Worker(queue, extractor, store, job.options).run()


class Worker:
    """Extracts each video of a queue that the store lacks.

    Parameters
    ----------
    queue : WorkQueue
        Videos are taken one by one, so that other workers can fill the same store.
    extractor : Extractor
        Makes the features.
    store : FeatureStore
        With the extractor's spec.
    options : RunOptions
        Number of decoder processes, time limit, and what to do with videos that fail or failed before.
    """

    def __init__(self, queue: WorkQueue, extractor: Extractor, store: FeatureStore, options: RunOptions) -> None:
        self._queue = queue
        self._extractor = extractor
        self._store = store
        self._options = options
        self._started_s = time.monotonic()
        self._count_at_start = replace(extractor.count)
        self._count_reported = replace(extractor.count)
        self._videos: dict[str, _VideoProgress] = {}

    def run(self) -> None:
        """Extract until the queue is empty.

        Raises
        ------
        AslKitError
            If a video fails and the options say to stop then, or the store cannot be written.
        """
        folder = self._store.path / "tmp"
        folder.mkdir(exist_ok=True)
        while (first := self._queue.get()) is not None:
            results = self._extractor.extract_all(
                self._pending(chain([first], iter(self._queue.get, None))),
                workers=self._options.workers,
                time_limit_s=self._options.time_limit_s,
                folder=folder,
                on_frames=lambda video_id, frames, total: self._videos[video_id].add(frames, total),
            )
            with closing(results):
                for video_id, result in results:
                    self._finish(video_id, result)

    def _pending(self, files: Iterable[VideoFile]) -> Iterator[tuple[str, Path]]:
        """Yield the videos to extract; report the others."""
        failed = {} if self._options.retry_failed else self._store.ledger.failed_attempts()
        for file in files:
            before = failed.get(file.video_id)
            if file.video_id in self._store:
                self._skip(VideoResult(file.video_id, "skipped"))
            elif before is not None and not _has_changed_since(file.path, before):
                self._skip(VideoResult(file.video_id, "failed_before", before.reason))
            else:
                self._videos[file.video_id] = _VideoProgress(self._queue.on_progress, self._note_for(file.video_id))
                try:
                    check_id(file)
                except VideoError as fault:
                    self._finish(file.video_id, fault)
                else:
                    yield file.video_id, file.path

    def _skip(self, result: VideoResult) -> None:
        self._queue.on_progress(1.0, "")
        self._queue.on_result(result)

    def _note_for(self, video_id: str) -> Callable[[], str]:
        def note() -> str:
            elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
            frames = self._extractor.count.decoded - self._count_at_start.decoded
            return f"{frames / elapsed_s:.0f} frames/s  {video_id}"

        return note

    def _finish(self, video_id: str, result: ExtractedVideo | AslKitError) -> None:
        """Store a video's features, or record why it failed."""
        progress = self._videos.pop(video_id)
        try:
            if isinstance(result, AslKitError):
                raise result
            self._store.write(
                video_id,
                result.features,
                grid=result.grid,
                duration_s=result.duration_s,
                fps=result.fps,
                frames=result.frames,
                seconds=progress.seconds,
                note=result.note,
            )
        except (VideoError, FeatureError, MissingFileError) as fault:
            self._store.ledger.record(video_id, "failed", fault.message, seconds=progress.seconds)
            if self._options.on_error == "stop":
                raise
            message = f"failed: {fault.message}" + (f" ({fault.hint})" if fault.hint else "")
            finished = VideoResult(video_id, "failed", fault.message, message)
        else:
            message = f"{video_id}: {result.note}" if result.note else ""
            finished = VideoResult(video_id, "done", message=message, features=len(result.features))
        finally:
            progress.finish()
        count, reported = self._extractor.count, self._count_reported
        self._count_reported = replace(count)
        self._queue.on_result(
            replace(
                finished,
                frames_decoded=count.decoded - reported.decoded,
                frames_in_files=count.in_files - reported.in_files,
            )
        )


def _has_changed_since(path: Path, attempt: Attempt) -> bool:
    """Whether a file was replaced or repaired after an attempt at it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return max(found.st_mtime, found.st_ctime) > datetime.fromisoformat(attempt.time).timestamp()


class _VideoProgress:
    """Reports the progress of one video, which adds up to exactly 1."""

    def __init__(self, on_progress: Callable[[float, str], None], note: Callable[[], str]) -> None:
        self._on_progress = on_progress
        self._note = note
        self._started_s = time.monotonic()
        self._frames = 0
        self._parts = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_s

    def add(self, frames: int, total: int) -> None:
        self._frames += frames
        self._report(self._frames * (_PARTS_PER_VIDEO - 1) // total)

    def finish(self) -> None:
        self._report(_PARTS_PER_VIDEO)

    def _report(self, parts: int) -> None:
        self._on_progress((parts - self._parts) / _PARTS_PER_VIDEO, self._note())
        self._parts = parts
