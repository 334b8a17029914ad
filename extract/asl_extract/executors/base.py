"""What all executors share: the job, its callbacks, and the interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from asl_extract.decoders import check_decoder
from asl_extract.extractor import Extractor
from asl_extract.settings import ExtractionSettings, RunOptions
from asl_extract.videos import VideoFile
from asl_kit.store import FeatureStore
from asl_kit.torch_utils.device import choose_device, default_precision


@dataclass(frozen=True)
class Job:
    """What all workers of a run do alike.

    Parameters
    ----------
    store : Path
        The store's folder; every worker must see it.
    settings : ExtractionSettings
        What decides the features.
    options : RunOptions
        How they are made here.
    """

    store: Path
    settings: ExtractionSettings
    options: RunOptions

    def open(self, device: str, *, devices: Sequence[str] = ()) -> tuple[Extractor, FeatureStore]:
        """Return the extractor on a device, and the store, which is created if it does not exist.

        Parameters
        ----------
        device : str
            Where the extractor computes.
        devices : sequence of str
            Where the workers compute for which this is a check; the decoder must work on all of them.

        Raises
        ------
        AslKitError
            If features cannot be made here as the settings ask, or the store does not take them.
        """
        spec, dtype = self.settings.resolve(precision=default_precision(choose_device(device)))
        for name in devices or [device]:
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

    def with_precision(self, precision: str) -> Job:
        """Return the job with a precision for all workers, unless the settings state one."""
        return replace(self, settings=self.settings.with_precision(precision))

    def with_workers(self, workers: int) -> Job:
        """Return the job with a number of decoder processes, unless the options state one."""
        return (
            self if self.options.workers is not None else replace(self, options=replace(self.options, workers=workers))
        )

    def describe_decoding(self) -> str:
        """Return in words how many processes decode for a device."""
        workers = self.options.workers
        if not workers:
            return "decoding in the same process"
        return f"{workers} processes decode" if workers > 1 else "1 process decodes"


@dataclass(frozen=True)
class VideoResult:
    """How the extraction of one video ended.

    Parameters
    ----------
    video_id : str
        The video.
    status : {'done', 'skipped', 'failed', 'failed_before'}
        Added to the store; in the store before; failed now; failed in an earlier run and not tried again.
    reason : str
        Why it failed.
    message : str
        What the user should read at once; empty: nothing.
    features : int
        Features written.
    frames_decoded, frames_in_files : int
        Frames that came out of the decoder since the last result, and that the opened files hold.
    """

    video_id: str
    status: Literal["done", "skipped", "failed", "failed_before"]
    reason: str = ""
    message: str = ""
    features: int = 0
    frames_decoded: int = 0
    frames_in_files: int = 0


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

    def run(self, files: Sequence[VideoFile], job: Job, callbacks: Callbacks) -> None:
        """Extract videos, taken in this order.

        Raises
        ------
        AslKitError
            If the job cannot be done, or a video fails and the options say to stop then.
        """
