"""Extraction in this process."""

from __future__ import annotations

from collections.abc import Sequence

from asl_extract.decoding.workers import choose_workers
from asl_extract.executors.base import Callbacks, Job
from asl_extract.executors.worker import Worker
from asl_extract.videos import Video


class InProcess:
    """An executor with one device, used by this process."""

    def __init__(self, device: str) -> None:
        self._device = device

    def prepare(self, job: Job) -> Job:
        """Load the backbone and create the store; see `Executor`."""
        self._extractor, self._store = job.open(self._device)
        device = self._extractor.device
        workers = choose_workers(device.type, decoder=self._extractor.spec.decoder_name)
        return job.start(f"{device}, {self._extractor.batch_size} clips per batch", workers=workers)

    def execute(self, files: Sequence[Video], job: Job, callbacks: Callbacks) -> None:
        """Extract videos one after the other; see `Executor`."""
        Worker(self._extractor, self._store, job.options, callbacks).process(files)
