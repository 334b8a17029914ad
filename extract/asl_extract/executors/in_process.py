"""Extraction in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from asl_extract.decoding.workers import choose_workers
from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.worker import Worker
from asl_extract.videos import VideoFile
from asl_kit.base.console import err


class InProcess:
    """An executor with one device, used by this process.

    Parameters
    ----------
    device : str
        The device.
    """

    def __init__(self, device: str) -> None:
        self._device = device

    def prepare(self, job: Job) -> Job:
        """Load the backbone and create the store; see `Executor`."""
        self._extractor, self._store = job.open(self._device)
        device = self._extractor.device
        job = job.with_workers(choose_workers(device.type, decoder=self._extractor.spec.decoder_name))
        err().print(f"{device}, {self._extractor.batch_size} clips a batch, {job.describe_decoding()}")
        return job

    def run(self, files: Sequence[VideoFile], job: Job, callbacks: Callbacks) -> None:
        """Extract videos one after the other; see `Executor`."""
        Worker(LocalQueue(files, callbacks), self._extractor, self._store, job.options).run()


class LocalQueue:
    """The `WorkQueue` of a single worker.

    Parameters
    ----------
    files : iterable of VideoFile
        Videos, in this order.
    callbacks : Callbacks
        Get the results.
    """

    def __init__(self, files: Iterable[VideoFile], callbacks: Callbacks) -> None:
        self._files: Iterator[VideoFile] = iter(files)
        self.on_result = callbacks.on_result
        self.on_progress = callbacks.on_progress

    def get(self) -> VideoFile | None:
        """Return the next video; None at the end."""
        return next(self._files, None)
