"""The extraction run: many videos into one store, going on where it left off, whatever single files do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from asl_extract.decoder_workers import count_cores
from asl_extract.extractor import ExtractedVideo, Extractor
from asl_extract.settings import make_extractor
from asl_extract.videos import VideoFile, check_id, find_videos, parse_shard, restrict, take_shard
from asl_kit.annotations import read_annotations
from asl_kit.errors import AslKitError, FeatureError, MissingFileError, UsageError, VideoError
from asl_kit.progress import ProgressBar, err, progress_bar
from asl_kit.store import FeatureStore
from asl_kit.store.ledger import Attempt

_PARTS_PER_VIDEO = 1024  # a power of two, so that the parts of a video add up to exactly 1
_NAMES_SHOWN = 5

TIME_LIMIT_S = 300.0
"""Nothing decoded for so long: a decoder that hangs, and not a large frame or a slow disk."""


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
    device, decoder, decoder_threads, batch_size
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
        Processes that decode; 0: this one; None: `choose_workers`.
    time_limit_s : float
        A video has failed when its decoder delivers nothing for so long; decoders in this process
        are asked between frames only, those in others are killed.
    retry_failed : bool
        Whether to try videos again that failed before.

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
    extractor, dtype = make_extractor(
        backbone=backbone,
        preset=preset,
        like=like,
        weights=weights,
        window_frames=window_frames,
        stride_frames=stride_frames,
        fps=fps,
        frame_size=frame_size,
        flow=flow,
        flow_weights=flow_weights,
        precision=precision,
        device=device,
        decoder=decoder,
        decoder_threads=decoder_threads,
        batch_size=batch_size,
        dtype=dtype,
    )
    features = FeatureStore.open_or_create(store, extractor.spec, dtype)
    summary = ExtractionSummary(store=str(store), missing=missing)
    if missing:
        _warn_missing(missing, annotations)
    workers = choose_workers(extractor.device) if workers is None else workers
    processes = (
        "this process decodes" if workers == 0 else f"{workers} {'processes' if workers > 1 else 'process'} decode"
    )
    err().print(f"{extractor.device}, {extractor.batch_size} clips a batch, {processes}", markup=False)
    files = take_shard(files, part)
    with progress_bar("extract", len(files)) as bar:
        run = _Run(features, extractor=extractor, bar=bar, on_error=on_error, summary=summary)
        run.extract(files, workers=workers, time_limit_s=time_limit_s, retry_failed=retry_failed)
    return summary


def choose_workers(device: torch.device) -> int:
    """Return how many processes decode, unless the user says.

    A GPU wants all cores but the one that feeds it, and eight feed any. On a CPU the backbone uses
    every core as it is, and other processes only take its time (tests/benchmarks/extract_throughput.py).
    """
    return min(8, max(1, count_cores() - 1)) if device.type == "cuda" else 0


class _Run:
    """One pass over the videos; keeps the summary up to date."""

    def __init__(
        self, store: FeatureStore, *, extractor: Extractor, bar: ProgressBar, on_error: str, summary: ExtractionSummary
    ) -> None:
        self._store = store
        self._extractor = extractor
        self._bar = bar
        self._on_error = on_error
        self._summary = summary
        self._started_s = time.monotonic()
        self._in_hand: dict[str, _VideoInHand] = {}

    def extract(self, files: Sequence[VideoFile], *, workers: int, time_limit_s: float, retry_failed: bool) -> None:
        """Extract each video that the store lacks."""
        folder = self._store.path / "tmp"
        folder.mkdir(exist_ok=True)
        results = self._extractor.extract_all(
            self._to_do(files, retry_failed=retry_failed),
            workers=workers,
            time_limit_s=time_limit_s,
            folder=folder,
            on_frames=lambda video_id, frames, total: self._in_hand[video_id].advance(frames, total),
        )
        with closing(results):
            for video_id, result in results:
                self._settle(video_id, result)

    def _to_do(self, files: Sequence[VideoFile], *, retry_failed: bool) -> Iterator[tuple[str, Path]]:
        """Yield videos as somebody gets free for them: other processes may fill the same store."""
        failed = {} if retry_failed else self._store.ledger.failed_attempts()
        for file in files:
            before = failed.get(file.video_id)
            if file.video_id in self._store:
                self._summary.skipped.append(file.video_id)
                self._bar.advance()
            elif before is not None and not _changed_since(file.path, before):
                self._summary.failed_before[file.video_id] = before.reason
                self._bar.advance()
            else:
                self._in_hand[file.video_id] = _VideoInHand(self._bar, self._extractor, file.video_id, self._started_s)
                try:
                    check_id(file)
                except VideoError as fault:
                    self._settle(file.video_id, fault)
                else:
                    yield file.video_id, file.path

    def _settle(self, video_id: str, result: ExtractedVideo | AslKitError) -> None:
        """Store a video's features, or record why there are none."""
        in_hand = self._in_hand.pop(video_id)
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
                seconds=in_hand.seconds,
                note=result.note,
            )
        except (VideoError, FeatureError, MissingFileError) as fault:
            self._store.ledger.record(video_id, "failed", fault.message, seconds=in_hand.seconds)
            if self._on_error == "stop":
                raise
            self._summary.failed[video_id] = fault.message
            self._bar.message(f"failed: {fault.message}" + (f" ({fault.hint})" if fault.hint else ""))
        else:
            self._summary.done.append(video_id)
            if result.note:
                self._bar.message(f"{video_id}: {result.note}")
            self._summary.features += len(result.features)
        finally:
            in_hand.finish()
            self._summary.frames_decoded = self._extractor.count.decoded
            self._summary.frames_in_files = self._extractor.count.in_files
            self._summary.seconds = time.monotonic() - self._started_s


def _changed_since(path: Path, attempt: Attempt) -> bool:
    """Say whether a file is another than the one that failed: copied again, or repaired."""
    try:
        found = path.stat()
    except OSError:
        return False
    return max(found.st_mtime, found.st_ctime) > datetime.fromisoformat(attempt.time).timestamp()


class _VideoInHand:
    """Knows since when a video is worked on; moves the bar by one video in all, frame by frame."""

    def __init__(self, bar: ProgressBar, extractor: Extractor, video_id: str, started_s: float) -> None:
        self._bar = bar
        self._extractor = extractor
        self._video_id = video_id
        self._started_s = started_s
        self._own_start_s = time.monotonic()
        self._frames = 0
        self._parts = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._own_start_s

    def advance(self, frames: int, total: int) -> None:
        self._frames += frames
        self._advance_to(self._frames * (_PARTS_PER_VIDEO - 1) // total)
        elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
        self._bar.note(f"{self._extractor.count.decoded / elapsed_s:.0f} frames/s  {self._video_id}")

    def finish(self) -> None:
        self._advance_to(_PARTS_PER_VIDEO)

    def _advance_to(self, parts: int) -> None:
        self._bar.advance((parts - self._parts) / _PARTS_PER_VIDEO)
        self._parts = parts


def _warn_missing(missing: list[str], annotations: Path | None) -> None:
    more = f" and {len(missing) - _NAMES_SHOWN} more" if len(missing) > _NAMES_SHOWN else ""
    err().print(
        f"{len(missing)} videos of {annotations} have no file: {', '.join(missing[:_NAMES_SHOWN])}{more}", markup=False
    )
