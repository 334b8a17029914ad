"""The extraction run: many videos into one store, going on where it left off, whatever single files do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asl_extract.extractor import Extractor
from asl_extract.videos import VideoFile, check_id, find_videos, parse_shard, restrict, take_shard
from asl_extract.weights import DEFAULT
from asl_kit.annotations import read_annotations
from asl_kit.errors import FeatureError, MissingFileError, UsageError, VideoError
from asl_kit.progress import ProgressBar, err, progress_bar
from asl_kit.store import FeatureStore

_PARTS_PER_VIDEO = 1024  # a power of two, so that the parts of a video add up to exactly 1
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
            ]
        )


def extract_videos(
    videos: Sequence[Path],
    store: Path,
    *,
    backbone: str,
    weights: str = DEFAULT,
    window_frames: int | None = None,
    stride_frames: int | None = None,
    fps: float | None = None,
    frame_size: int | None = None,
    precision: str | None = None,
    device: str = "auto",
    decoder: str = "decord",
    decoder_threads: int = 1,
    batch_size: int | None = None,
    dtype: str = "float16",
    annotations: Path | None = None,
    shard: str | None = None,
    on_error: str = "skip",
) -> ExtractionSummary:
    """Extract features from video files into a store.

    Videos that the store already holds are skipped, so the same call goes on
    after an interruption. A video that fails is recorded in the store's ledger
    with the reason.

    Parameters
    ----------
    videos : sequence of Path
        Video files, and folders to search for them. A video's id is its file name without the suffix.
    store : Path
        The feature store; made if it is not there.
    backbone, weights, window_frames, stride_frames, fps, frame_size, precision
        What decides the features; as in `Extractor.create`.
    device, decoder, decoder_threads, batch_size
        As in `Extractor.create`.
    dtype : {'float16', 'float32'}
        Type of the stored features.
    annotations : Path, optional
        Restricts the run to the videos that this file lists.
    shard : str, optional
        ``I/N``: work on the I-th of N parts of the videos, I from 1.
    on_error : {'skip', 'stop'}
        Whether a video that fails is passed over, or ends the run with its error.

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
    extractor = Extractor.create(
        backbone=backbone,
        weights=weights,
        window_frames=window_frames,
        stride_frames=stride_frames,
        fps=fps,
        frame_size=frame_size,
        precision=precision,
        device=device,
        decoder=decoder,
        decoder_threads=decoder_threads,
        batch_size=batch_size,
    )
    features = FeatureStore.open_or_create(store, extractor.spec, dtype)
    summary = ExtractionSummary(store=str(store), missing=missing)
    if missing:
        _warn_missing(missing, annotations)
    _extract_into(features, take_shard(files, part), extractor=extractor, on_error=on_error, summary=summary)
    return summary


def _extract_into(
    store: FeatureStore, files: list[VideoFile], *, extractor: Extractor, on_error: str, summary: ExtractionSummary
) -> None:
    """Extract each video that the store lacks; keep `summary` up to date."""
    started_s = time.monotonic()
    with progress_bar("extract", len(files)) as bar:
        for file in files:
            if file.video_id in store:
                summary.skipped.append(file.video_id)
                bar.advance()
                continue
            video_started_s = time.monotonic()
            advance = _VideoProgress(bar, extractor, file.video_id, started_s)
            try:
                check_id(file)
                video = extractor.extract(file.path, on_frames=advance)
                store.write(
                    file.video_id,
                    video.features,
                    grid=video.grid,
                    duration_s=video.duration_s,
                    fps=video.fps,
                    frames=video.frames,
                    seconds=time.monotonic() - video_started_s,
                )
            except (VideoError, FeatureError, MissingFileError) as fault:
                store.ledger.record(file.video_id, "failed", fault.message, seconds=time.monotonic() - video_started_s)
                if on_error == "stop":
                    raise
                summary.failed[file.video_id] = fault.message
                bar.message(f"failed: {fault.message}" + (f" ({fault.hint})" if fault.hint else ""))
            else:
                summary.done.append(file.video_id)
                summary.features += len(video.features)
            finally:
                advance.finish()
                summary.frames_decoded = extractor.count.decoded
                summary.frames_in_files = extractor.count.in_files
                summary.seconds = time.monotonic() - started_s


class _VideoProgress:
    """Moves the bar by one video in all, frame by frame."""

    def __init__(self, bar: ProgressBar, extractor: Extractor, video_id: str, started_s: float) -> None:
        self._bar = bar
        self._extractor = extractor
        self._video_id = video_id
        self._started_s = started_s
        self._frames = 0
        self._parts = 0

    def __call__(self, frames: int, total: int) -> None:
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
