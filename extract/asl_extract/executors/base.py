"""What all executors share: the job, its callbacks, and the interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from asl_extract.decoders import check_decoder
from asl_extract.executors.results import VideoResult
from asl_extract.extractor import Extractor
from asl_extract.settings import ExtractionSettings, RunOptions
from asl_extract.videos import Video
from asl_kit.base.console import err
from asl_kit.store import FeatureStore
from asl_kit.torch_utils.device import choose_device, default_precision


@dataclass(frozen=True)
class Job:
    """What all workers of a run do alike. Every worker must see the store's folder."""

    store: Path
    settings: ExtractionSettings
    options: RunOptions

    def open(self, device: str, *, workers_on: Sequence[str] = ()) -> tuple[Extractor, FeatureStore]:
        """Return the extractor on a device, and the store, which is created if it does not exist.

        `workers_on` are the devices of the workers, if this only checks for them: the decoder must work on all.

        Raises
        ------
        AslKitError
            If features cannot be made here as the settings ask, or do not suit the store.
        """
        spec, dtype = self.settings.resolve(precision=default_precision(choose_device(device)))
        for name in workers_on or [device]:
            check_decoder(spec.decoder_name, device=name, workers=self.options.workers)
        extractor = Extractor(
            spec,
            weights=self.settings.weights,
            flow_weights=self.settings.flow_weights,
            device=device,
            batch_size=self.options.batch_size,
            decoder_threads=self.options.decoder_threads,
        )
        return extractor, FeatureStore.open_or_create(self.store, extractor.spec, dtype)

    def start(self, who: str, *, workers: int) -> Job:
        """Print where the job runs; return it with that many decoder processes, unless the options state a number."""
        workers = workers if self.options.workers is None else self.options.workers
        decoding = f"{workers} decoder process{'es' if workers > 1 else ''}"
        err().print(f"{who}, {decoding if workers else 'decoding in the same process'}")
        return replace(self, options=replace(self.options, workers=workers))


class Callbacks(Protocol):
    """What a run reports while it works."""

    def on_result(self, result: VideoResult) -> None:
        """Take the result of a video."""

    def on_progress(self, videos: float, note: str) -> None:
        """Take the fraction of a video that was done since the last call, and a note for people."""


class Executor(Protocol):
    """Extracts the videos of a job."""

    def prepare(self, job: Job) -> Job:
        """Create the store, print who computes, and return the job with the defaults that all workers share.

        Raises
        ------
        AslKitError
            What every worker would raise; nothing is created then.
        """

    def execute(self, files: Sequence[Video], job: Job, callbacks: Callbacks) -> None:
        """Extract videos, taken in this order.

        Raises
        ------
        AslKitError
            If the job cannot be done, or a video fails and the options say to stop then.
        """
