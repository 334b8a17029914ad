"""Filling a store: video after video, going on where it was left off, whatever single files do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import torch

from asl_extract.decoders import GPU_DECODERS
from asl_extract.decoding.workers import count_cores
from asl_extract.extractor import ExtractedVideo, Extractor
from asl_extract.videos import VideoFile, check_id
from asl_kit.base.child_process import TIME_LIMIT_S
from asl_kit.errors import AslKitError, FeatureError, MissingFileError, VideoError
from asl_kit.store import FeatureStore, SourceVideo
from asl_kit.store.ledger import Attempt

WORKERS_ON_CPU = 1
"""Processes that decode beside a backbone on a CPU, unless the user says."""

_PARTS_PER_VIDEO = 1024  # a power of two, so that the parts of a video add up to exactly 1


@dataclass(frozen=True)
class Outcome:
    """What came of one video.

    Parameters
    ----------
    video_id : str
        The video.
    kind : {'done', 'skipped', 'failed', 'failed_before'}
        Added to the store; in the store before; failed now; failed in a run before and not tried again.
    reason : str
        Why it failed.
    message : str
        What the user should read at once; empty: nothing.
    features : int
        Features written.
    frames_decoded, frames_in_files : int
        Frames that came out of the decoder since the last outcome, and that the opened files hold.
    """

    video_id: str
    kind: Literal["done", "skipped", "failed", "failed_before"]
    reason: str = ""
    message: str = ""
    features: int = 0
    frames_decoded: int = 0
    frames_in_files: int = 0


def choose_workers(device: torch.device, *, decoder: str, devices: int = 1) -> int:
    """Return how many processes decode for each of some devices, unless the user says.

    A GPU wants all cores but the one that feeds it, and eight feed any. On a CPU the backbone uses every core as
    it is: one process is there so that a file which crashes its decoder costs nothing else, more would only take time
    (tests/benchmarks/extract_throughput.py). A decoder on the GPU decodes in the process that computes.
    """
    if decoder in GPU_DECODERS:
        return 0
    return min(8, max(1, count_cores() // devices - 1)) if device.type == "cuda" else WORKERS_ON_CPU


def extract_into(
    store: FeatureStore,
    files: Iterable[VideoFile],
    *,
    extractor: Extractor,
    tell: Callable[[Outcome], None],
    advance: Callable[[float, str], None],
    on_error: str = "skip",
    workers: int | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    retry_failed: bool = False,
) -> None:
    """Extract each video that the store lacks.

    Parameters
    ----------
    store : FeatureStore
        Of the extractor's spec.
    files : iterable of VideoFile
        The videos, taken one by one as somebody gets free for them: other processes may fill the same store.
    extractor : Extractor
        Makes the features.
    tell : callable
        Gets what came of each video.
    advance : callable
        Gets how much more of a video is done, a share of it, and a note for people: speed and id.
    on_error, workers, time_limit_s, retry_failed
        As in `asl_extract.extraction.extract_videos`.

    Raises
    ------
    AslKitError
        If a video fails and `on_error` is ``stop``, or the store cannot be written.
    """
    filling = _Filling(store, extractor=extractor, tell=tell, advance=advance, on_error=on_error)
    workers = choose_workers(extractor.device, decoder=extractor.decoder) if workers is None else workers
    filling.extract(files, workers=workers, time_limit_s=time_limit_s, retry_failed=retry_failed)


class _Filling:
    """One pass over the videos."""

    def __init__(
        self,
        store: FeatureStore,
        *,
        extractor: Extractor,
        tell: Callable[[Outcome], None],
        advance: Callable[[float, str], None],
        on_error: str,
    ) -> None:
        self._store = store
        self._extractor = extractor
        self._tell = tell
        self._advance = advance
        self._on_error = on_error
        self._started_s = time.monotonic()
        self._decoded_before = extractor.count.decoded
        self._counted = (extractor.count.decoded, extractor.count.in_files)
        self._in_hand: dict[str, _VideoInHand] = {}

    def extract(self, files: Iterable[VideoFile], *, workers: int, time_limit_s: float, retry_failed: bool) -> None:
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

    def _to_do(self, files: Iterable[VideoFile], *, retry_failed: bool) -> Iterator[tuple[str, Path]]:
        failed = {} if retry_failed else self._store.ledger.failed_attempts()
        for file in files:
            before = failed.get(file.video_id)
            if file.video_id in self._store:
                self._pass_over(Outcome(file.video_id, "skipped"))
            elif before is not None and not _changed_since(file.path, before):
                self._pass_over(Outcome(file.video_id, "failed_before", before.reason))
            else:
                self._in_hand[file.video_id] = _VideoInHand(self._advance, self._note_of(file.video_id))
                try:
                    check_id(file)
                except VideoError as fault:
                    self._settle(file.video_id, fault)
                else:
                    yield file.video_id, file.path

    def _pass_over(self, outcome: Outcome) -> None:
        self._advance(1.0, "")
        self._tell(outcome)

    def _note_of(self, video_id: str) -> Callable[[], str]:
        def note() -> str:
            elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
            return f"{(self._extractor.count.decoded - self._decoded_before) / elapsed_s:.0f} frames/s  {video_id}"

        return note

    def _settle(self, video_id: str, result: ExtractedVideo | AslKitError) -> None:
        """Store a video's features, or record why there are none."""
        in_hand = self._in_hand.pop(video_id)
        try:
            if isinstance(result, AslKitError):
                raise result
            video = SourceVideo(video_id, result.grid, result.duration_s, result.fps, result.frames)
            self._store.write(video, result.features, seconds=in_hand.seconds, note=result.note)
        except (VideoError, FeatureError, MissingFileError) as fault:
            self._store.ledger.record(video_id, "failed", fault.message, seconds=in_hand.seconds)
            if self._on_error == "stop":
                raise
            message = f"failed: {fault.message}" + (f" ({fault.hint})" if fault.hint else "")
            outcome = Outcome(video_id, "failed", fault.message, message)
        else:
            message = f"{video_id}: {result.note}" if result.note else ""
            outcome = Outcome(video_id, "done", message=message, features=len(result.features))
        finally:
            in_hand.finish()
        count = self._extractor.count
        decoded, in_files = self._counted
        self._counted = (count.decoded, count.in_files)
        self._tell(replace(outcome, frames_decoded=count.decoded - decoded, frames_in_files=count.in_files - in_files))


def _changed_since(path: Path, attempt: Attempt) -> bool:
    """Say whether a file is another than the one that failed: copied again, or repaired."""
    try:
        found = path.stat()
    except OSError:
        return False
    return max(found.st_mtime, found.st_ctime) > datetime.fromisoformat(attempt.time).timestamp()


class _VideoInHand:
    """Knows since when a video is worked on; advances by one video in all, frame by frame."""

    def __init__(self, advance: Callable[[float, str], None], note: Callable[[], str]) -> None:
        self._advance = advance
        self._note = note
        self._started_s = time.monotonic()
        self._frames = 0
        self._parts = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_s

    def advance(self, frames: int, total: int) -> None:
        self._frames += frames
        self._advance_to(self._frames * (_PARTS_PER_VIDEO - 1) // total)

    def finish(self) -> None:
        self._advance_to(_PARTS_PER_VIDEO)

    def _advance_to(self, parts: int) -> None:
        self._advance((parts - self._parts) / _PARTS_PER_VIDEO, self._note())
        self._parts = parts
