"""The extraction run: many videos into one store, going on where it left off, whatever single files do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asl_extract.decoders import check_decoder
from asl_extract.executors.devices import extract_on_devices
from asl_extract.executors.filling import Outcome, choose_workers, extract_into
from asl_extract.executors.ray_cluster import connect, extract_on_ray
from asl_extract.executors.work_queue import ATTEMPTS, Job
from asl_extract.settings import make_extractor
from asl_extract.videos import VideoFile, find_videos, parse_shard, restrict, take_shard
from asl_kit.annotations import read_annotations
from asl_kit.base.child_process import TIME_LIMIT_S
from asl_kit.base.console import ProgressBar, err, progress_bar
from asl_kit.errors import UsageError
from asl_kit.store import FeatureStore
from asl_kit.torch_utils.device import choose_device, choose_devices, default_precision

_NAMES_SHOWN = 5


@dataclass
class ExtractionSummary:
    """What a run did.

    Parameters
    ----------
    store : str
        The store's folder.
    done : list of str
        Ids of videos added to the store.
    skipped : list of str
        Ids of videos that were in the store before.
    failed : dict of str to str
        Reason by id, for videos that could not be extracted.
    failed_before : dict of str to str
        Reason by id, for videos that had failed in a run before and were not tried again.
    missing : list of str
        Ids of annotated videos without a file.
    frames_decoded : int
        Frames that came out of the decoder.
    frames_in_files : int
        Frames that the opened files hold.
    features : int
        Features written.
    seconds : float
        Time taken by the videos, loading the backbone left out.
    """

    store: str
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    failed_before: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    frames_decoded: int = 0
    frames_in_files: int = 0
    features: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Take up what came of one video."""
        if outcome.kind == "done":
            self.done.append(outcome.video_id)
        elif outcome.kind == "skipped":
            self.skipped.append(outcome.video_id)
        else:
            reasons = self.failed if outcome.kind == "failed" else self.failed_before
            reasons[outcome.video_id] = outcome.reason
        self.features += outcome.features
        self.frames_decoded += outcome.frames_decoded
        self.frames_in_files += outcome.frames_in_files

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a JSON-ready dict."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the summary in a few lines."""
        rate = self.frames_decoded / self.seconds if self.seconds else 0.0
        return "\n".join(
            [
                f"{self.store}: {len(self.done)} videos extracted, {len(self.skipped)} there before,"
                f" {len(self.failed)} failed",
                f"{self.features} features from {self.frames_decoded} decoded frames in {self.seconds:.1f} s"
                f" ({rate:.0f} frames/s)",
                *(f"failed: {video_id}: {reason}" for video_id, reason in self.failed.items()),
                *(f"failed before: {video_id}: {reason}" for video_id, reason in self.failed_before.items()),
                *([_not_tried_again(len(self.failed_before))] if self.failed_before else []),
            ]
        )


def _not_tried_again(number: int) -> str:
    return f"{number} failed before and were not tried again; --retry-failed tries them"


def extract_videos(
    videos: Sequence[Path],
    store: Path,
    *,
    backbone: str | None = None,
    preset: str | None = None,
    like: Path | None = None,
    weights: str | None = None,
    window_frames: int | None = None,
    stride_frames: int | None = None,
    fps: float | None = None,
    frame_size: int | None = None,
    flow: str | None = None,
    flow_weights: str | None = None,
    precision: str | None = None,
    device: str = "auto",
    decoder: str | None = None,
    decoder_threads: int = 1,
    batch_size: int | None = None,
    dtype: str | None = None,
    annotations: Path | None = None,
    shard: str | None = None,
    on_error: str = "skip",
    workers: int | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    retry_failed: bool = False,
    ray: str | None = None,
) -> ExtractionSummary:
    """Extract features from video files into a store.

    Videos that the store already holds are skipped, so the same call goes on
    after an interruption. A video that fails is recorded in the store's ledger
    with the reason, and is not tried again unless its file has changed, or
    `retry_failed` asks for it.

    Parameters
    ----------
    videos : sequence of Path
        Video files, and folders to search for them. A video's id is its file name without the suffix.
    store : Path
        The feature store; made if it is not there.
    backbone, preset, like, weights, window_frames, stride_frames, fps, frame_size, flow, flow_weights, precision
        What decides the features; as in `make_extractor`.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``; several, as in ``cuda:0,cuda:1``, or ``all`` CUDA devices,
        work on one video each at a time, each in a process of its own.
    decoder, decoder_threads, batch_size
        As in `Extractor.create`.
    dtype : {'float16', 'float32'}, optional
        Type of the stored features; as in `make_extractor`.
    annotations : Path, optional
        Restricts the run to the videos that this file lists.
    shard : str, optional
        ``I/N``: work on the I-th of N parts of the videos, I from 1.
    on_error : {'skip', 'stop'}
        Whether a video that fails is passed over, or ends the run with its error.
    workers : int, optional
        Processes that decode, for each device; 0: the one that computes; None: `choose_workers`.
    time_limit_s : float
        A video has failed when its decoder delivers nothing for so long; decoders in this process
        are asked between frames only, those in others are killed.
    retry_failed : bool
        Whether to try videos again that failed before.
    ray : str, optional
        Address of a Ray cluster to work on, or ``local``: one actor a device, instead of `device`.

    Returns
    -------
    ExtractionSummary
        What was done, skipped and failed.

    Raises
    ------
    UsageError, MissingFileError
        If a setting is wrong, or there are no videos.
    SpecConflictError
        If the store's features were made in another way.
    VideoError, FeatureError
        If a video fails and `on_error` is ``stop``.
    """
    if on_error not in ("skip", "stop"):
        raise UsageError(f"on_error is {on_error!r}, expected skip or stop")
    if workers is not None and workers < 0:
        raise UsageError(f"workers must be 0 or more, got {workers}")
    if not time_limit_s > 0:
        raise UsageError(f"time limit must be above 0 seconds, got {time_limit_s:g}")
    part = (1, 1) if shard is None else parse_shard(shard)
    files = find_videos(videos)
    missing: list[str] = []
    if annotations is not None:
        files, missing = restrict(files, read_annotations(annotations).videos.keys())
        if not files:
            raise UsageError(
                f"none of the videos is in {annotations}",
                hint="a video's file name without the suffix must be its id in the annotations",
            )
    files = take_shard(files, part)
    settings: dict[str, Any] = {
        "backbone": backbone,
        "preset": preset,
        "like": like,
        "weights": weights,
        "window_frames": window_frames,
        "stride_frames": stride_frames,
        "fps": fps,
        "frame_size": frame_size,
        "flow": flow,
        "flow_weights": flow_weights,
        "precision": precision,
        "decoder": decoder,
        "decoder_threads": decoder_threads,
        "batch_size": batch_size,
        "dtype": dtype,
    }
    options = {"on_error": on_error, "time_limit_s": time_limit_s, "retry_failed": retry_failed}
    summary = ExtractionSummary(store=str(store), missing=missing)
    if missing:
        _warn_missing(missing, annotations)
    if ray is not None:
        if device != "auto":
            raise UsageError(f"--ray gives each actor its device: leave out --device {device}")
        with connect(ray) as cluster:
            if precision is None and like is None:
                settings["precision"] = "bfloat16" if cluster.has_gpus else "float32"
            _prepare_store(store, settings, devices=["cuda" if cluster.has_gpus else "cpu"], workers=workers)
            job = Job(store.absolute(), settings, options | {"workers": workers})
            err().print(f"{cluster.size} Ray actors, one a {cluster.unit}")
            with _reporting(summary, files) as report:
                extract_on_ray(files, job, cluster, tell=report.tell, advance=report.advance, give_up=report.give_up)
        return summary
    devices = choose_devices(device)
    if len(devices) > 1:
        if precision is None and like is None:
            settings["precision"] = default_precision(choose_device(devices[0]))
        decoder = _prepare_store(store, settings, devices=devices, workers=workers)
        if workers is None:
            workers = choose_workers(choose_device(devices[0]), decoder=decoder, devices=len(devices))
        job = Job(store.absolute(), settings, options | {"workers": workers})
        err().print(f"{', '.join(devices)}: a process each, {_decoding(workers)}")
        with _reporting(summary, files) as report:
            extract_on_devices(files, job, devices, tell=report.tell, advance=report.advance, give_up=report.give_up)
        return summary
    extractor, stored_dtype = make_extractor(**settings, device=devices[0])
    check_decoder(extractor.decoder, device=devices[0], workers=workers)
    workers = choose_workers(extractor.device, decoder=extractor.decoder) if workers is None else workers
    features = FeatureStore.open_or_create(store, extractor.spec, stored_dtype)
    err().print(f"{extractor.device}, {extractor.batch_size} clips a batch, {_decoding(workers)}")
    with _reporting(summary, files) as report:
        extract_into(
            features,
            files,
            extractor=extractor,
            tell=report.tell,
            advance=report.advance,
            workers=workers,
            on_error=on_error,
            time_limit_s=time_limit_s,
            retry_failed=retry_failed,
        )
    return summary


def _prepare_store(store: Path, settings: dict[str, Any], *, devices: Sequence[str], workers: int | None) -> str:
    """Make the store, find out here what every worker would find wrong, and return the decoder's name."""
    extractor, dtype = make_extractor(**settings, device="cpu")
    for device in devices:
        check_decoder(extractor.decoder, device=device, workers=workers)
    FeatureStore.open_or_create(store, extractor.spec, dtype)
    return extractor.decoder


def _decoding(workers: int) -> str:
    if workers < 2:
        return "1 process decodes" if workers else "decoding in between"
    return f"{workers} processes decode"


class _Report:
    """Keeps summary, progress bar and ledger up to date, whoever does the work."""

    def __init__(self, summary: ExtractionSummary, bar: ProgressBar) -> None:
        self._summary = summary
        self._bar = bar
        self._started_s = time.monotonic()

    def tell(self, outcome: Outcome) -> None:
        self._summary.add(outcome)
        self._summary.seconds = time.monotonic() - self._started_s
        if outcome.message:
            self._bar.message(outcome.message)

    def advance(self, videos: float, note: str) -> None:
        self._bar.advance(videos)
        if note:
            self._bar.note(note)

    def give_up(self, file: VideoFile, reason: str) -> None:
        text = f"{file.path}: {ATTEMPTS} workers were lost while they had it in hand; the last: {reason}"
        FeatureStore.open(self._summary.store).ledger.record(file.video_id, "failed", text)
        self.tell(Outcome(file.video_id, "failed", text, f"failed: {text}"))


@contextmanager
def _reporting(summary: ExtractionSummary, files: Sequence[VideoFile]) -> Iterator[_Report]:
    with progress_bar("extract", len(files)) as bar:
        yield _Report(summary, bar)


def _warn_missing(missing: list[str], annotations: Path | None) -> None:
    more = f" and {len(missing) - _NAMES_SHOWN} more" if len(missing) > _NAMES_SHOWN else ""
    err().print(f"{len(missing)} videos of {annotations} have no file: {', '.join(missing[:_NAMES_SHOWN])}{more}")
