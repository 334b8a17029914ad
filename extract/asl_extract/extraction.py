"""Extraction of many videos into one store. A run can be resumed, whatever single files do."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asl_extract.executors import open_executor
from asl_extract.executors.base import Job
from asl_extract.executors.results import VideoResult
from asl_extract.remote.cache import say_what_is_fetched
from asl_extract.settings import ExtractionSettings, RunOptions
from asl_extract.videos import select_videos
from asl_kit.annotations import read_annotations
from asl_kit.base.console import ProgressBar, err, progress_bar
from asl_kit.remote.address import Place, local_path
from asl_kit.store.sources import compared_lines

_NAMES_SHOWN = 5
_WAITED_SHARE = 0.1  # of the time; less is not worth a line


@dataclass
class ExtractionSummary:
    """What an extraction run did.

    Parameters
    ----------
    store : str
        The store's folder.
    done : list of str
        Ids of videos added to the store.
    skipped : list of str
        Ids of videos that the store held before.
    changed : list of str
        Ids of videos whose file had changed since they were stored. They are in `failed`, or in `done` if they were
        replaced.
    not_compared : dict of str to str
        Reason by id, for skipped videos that could not be compared with their files.
    failed : dict of str to str
        Reason by id, for videos that could not be extracted.
    failed_before : dict of str to str
        Reason by id, for videos that failed in an earlier run and were not tried again.
    missing : list of str
        Ids of annotated videos without a file.
    frames_decoded : int
        Frames that came out of the decoder.
    frames_in_files : int
        Frames that the opened files hold.
    features : int
        Features written.
    seconds : float
        Time taken; without loading the backbone, if this process extracts.
    workers : int, optional
        Decoder processes for each device; None: unknown.
    device_s, device_waited_s : float
        Time of all GPUs together, and how much of it they waited for decoded frames.
    """

    store: str
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    failed_before: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    frames_decoded: int = 0
    frames_in_files: int = 0
    features: int = 0
    seconds: float = 0.0
    workers: int | None = None
    device_s: float = 0.0
    device_waited_s: float = 0.0

    def add(self, result: VideoResult) -> None:
        """Add the result of one video."""
        if result.status in ("done", "skipped"):
            getattr(self, result.status).append(result.video_id)
        else:
            getattr(self, result.status)[result.video_id] = result.reason
        if result.is_changed:
            self.changed.append(result.video_id)
        if result.status == "skipped" and result.reason:
            self.not_compared[result.video_id] = result.reason
        self.features += result.features
        self.frames_decoded += result.frames_decoded
        self.frames_in_files += result.frames_in_files
        self.device_s += result.device_s
        self.device_waited_s += result.device_waited_s

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a JSON-ready dict."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the summary as lines for people."""
        rate = self.frames_decoded / self.seconds if self.seconds else 0.0
        return "\n".join(
            [
                f"{self.store}: {len(self.done)} videos extracted, {len(self.skipped)} already in the store,"
                f" {len(self.failed)} failed",
                f"{self.features} features from {self.frames_decoded} decoded frames in {self.seconds:.1f} s"
                f" ({rate:.0f} frames/s)",
                *decoding_lines(self.device_waited_s, self.device_s, workers=self.workers),
                *compared_lines(self.changed, self.failed, self.not_compared),
                *(f"failed: {video_id}: {reason}" for video_id, reason in self.failed.items()),
                *(f"failed before: {video_id}: {reason}" for video_id, reason in self.failed_before.items()),
                *(
                    [f"{len(self.failed_before)} failed before and were not tried again; --retry-failed tries them"]
                    if self.failed_before
                    else []
                ),
            ]
        )


def decoding_lines(waited_s: float, seconds: float, *, workers: int | None) -> list[str]:
    """Return a line that says by how much decoding limits GPUs, or none if it hardly does.

    Parameters
    ----------
    waited_s, seconds : float
        How long the GPUs waited for decoded frames, and the whole time.
    workers : int, optional
        Decoder processes for each GPU; None or 0: no number is proposed.
    """
    if waited_s < _WAITED_SHARE * seconds or not seconds:
        return []
    line = f"decoding limits: the device waited {waited_s / seconds:.0%} of the time"
    if not workers or waited_s >= seconds:
        return [line]
    more = math.ceil(workers * waited_s / (seconds - waited_s))
    return [f"{line}; {more} more --workers for each device, with a core for each, would keep it busy"]


def extract_videos(
    videos: Place | Sequence[Place],
    store: Place,
    settings: ExtractionSettings,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
    *,
    annotations: str | Path | None = None,
    image_fps: float | None = None,
) -> ExtractionSummary:
    """Extract features from video files into a store.

    Videos that the store already holds are skipped, so the same call resumes a run that was interrupted. If the file
    of such a video has changed, the video fails, or is replaced if `options` say so. A video that fails is recorded in
    the store's ledger with the reason. It is tried again only if its file has changed, or if `options` say so.

    Parameters
    ----------
    videos : path, address or sequence of them
        Video files, folders to search, patterns and addresses; see `asl_extract.videos.find_sources`.
    store : path
        The feature store; created if it does not exist.
    settings : ExtractionSettings
        What decides the features.
    options : RunOptions
        How they are made on this machine.
    annotations : path, optional
        Restricts the run to the videos that this file lists, and states the frame rates of images.
    image_fps : float, optional
        Frame rate of videos whose frames are images; None: that of the annotations.

    Returns
    -------
    ExtractionSummary
        Which videos were done, skipped and failed.

    Raises
    ------
    UsageError, MissingFileError
        If a setting is wrong, or there are no videos.
    SpecConflictError
        If the store's features were made in another way.
    VideoError, FeatureError
        If a video fails and the options say to stop then.

    Examples
    --------
    >>> settings = ExtractionSettings(backbone="r2plus1d_18", stride_frames=8)
    >>> summary = extract_videos("videos", "features.zarr", settings, RunOptions(device="cuda"))
    >>> summary.failed
    {}
    """
    sources = [videos] if isinstance(videos, Place) else videos
    store = local_path(store, what="a feature store")
    listed = None if annotations is None else read_annotations(Path(annotations)).videos
    files, missing = select_videos(
        sources,
        listed=listed,
        list_name=str(annotations),
        shard=options.shard,
        image_fps=image_fps,
        frame_rates={video_id: video.fps for video_id, video in (listed or {}).items()},
    )
    if missing:
        more = f" and {len(missing) - _NAMES_SHOWN} more" if len(missing) > _NAMES_SHOWN else ""
        err().print(f"{len(missing)} videos of {annotations} have no file: {', '.join(missing[:_NAMES_SHOWN])}{more}")
    summary = ExtractionSummary(store=str(store), missing=missing)
    say_what_is_fetched(files, options.cache_settings)
    with open_executor(options) as executor:
        job = executor.prepare(Job(store, settings, options))
        summary.workers = job.options.workers
        with progress_bar("extract", len(files)) as bar:
            executor.execute(files, job, _Reporter(summary, bar))
    return summary


class _Reporter:
    """Updates summary and progress bar; the callbacks of a run."""

    def __init__(self, summary: ExtractionSummary, bar: ProgressBar) -> None:
        self._summary = summary
        self._bar = bar
        self._started_s = time.monotonic()

    def on_result(self, result: VideoResult) -> None:
        self._summary.add(result)
        self._summary.seconds = time.monotonic() - self._started_s
        if result.message:
            self._bar.message(result.message)

    def on_progress(self, videos: float, note: str) -> None:
        self._bar.advance(videos)
        if note:
            self._bar.note(note)
