"""One video as a stream of events: opened, decoded frames, and how it ended.

`decode_here` makes the events in this process, `asl_extract.decoding.workers` the same ones in others. Nothing here
imports torch, so that decoder processes start fast and stay small.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asl_extract.clip_plan import ClipPlan
from asl_extract.decoders import FrameReader, VideoSource, open_reader
from asl_kit.base.child_process import MEMORY_BYTES
from asl_kit.errors import AslKitError, VideoError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BLOCK_FRAMES = 16
"""Frames decoded, moved to the device and prepared together, at most."""

MAX_RESAMPLED_FRAMES = 2**22
"""Frames to which a file with few frames may be resampled: 38 hours at 30 frames a second."""

MAX_REPEATS = 1000
"""How often each frame of a longer file may be shown, on average."""

NextVideo = tuple[str, VideoSource | AslKitError] | None
"""An id with its video, or with why it must not be decoded; None: the next one is not ready yet."""

NOT_READY_S = 0.02
"""Time until a video that was not ready is asked for again."""

BLOCK_BYTES = 32 * 2**20
"""Size of a block at most, unless a single frame is larger: 5 frames of 1920 x 1080."""


@dataclass(frozen=True)
class DecodeSettings:
    """What a decoder needs to know to return the frames that clips need, and no others.

    Parameters
    ----------
    decoder : str
        A name in `asl_extract.decoders.DECODERS`.
    threads : int
        Threads that the decoder may use; 0: as many as there are cores.
    window_frames, stride_frames, clip_frames : int
        As in `ClipPlan`.
    resample_fps : float, optional
        As in `ClipPlan`.
    every_frame : bool
        As in `ClipPlan`.
    flow_images : bool
        Whether videos are images of optical flow.
    device : str
        Where a decoder in `asl_extract.decoders.GPU_DECODERS` decodes.
    memory_bytes : int
        Data that a decoder process may hold; not used if the process that computes decodes.
    """

    decoder: str
    threads: int
    window_frames: int
    stride_frames: int
    clip_frames: int
    resample_fps: float | None = None
    every_frame: bool = False
    flow_images: bool = False
    device: str = "cpu"
    memory_bytes: int = MEMORY_BYTES

    def plan(self, reader: FrameReader) -> ClipPlan:
        """Return the plan of an opened video."""
        return ClipPlan(
            frame_count=reader.frame_count,
            fps=reader.fps,
            window_frames=self.window_frames,
            stride_frames=self.stride_frames,
            clip_frames=self.clip_frames,
            resample_fps=self.resample_fps,
            display_s=reader.display_s,
            every_frame=self.every_frame,
        )


@dataclass(frozen=True)
class Opened:
    """A video is open: its first event, unless it cannot be opened.

    Parameters
    ----------
    plan : ClipPlan
        Its plan.
    decoder : str
        Name and version of what decodes images; empty for a video file, which the chosen decoder decodes.
    note : str
        What a user should know about the file, folder or tar.
    """

    plan: ClipPlan
    decoder: str = ""
    note: str = ""


class NextVideos:
    """Takes videos as decoders become free, without waiting for one that is not ready.

    Parameters
    ----------
    videos : iterable of NextVideo
        The videos.

    Attributes
    ----------
    is_late : bool
        Whether the last answer was that the next video is not ready.
    """

    def __init__(self, videos: Iterable[NextVideo]) -> None:
        self._left = iter(videos)
        self.is_late = False

    def take(self) -> NextVideo:
        """Return the next video; None if there is none, or it is not ready."""
        for video in self._left:
            self.is_late = video is None
            return video
        self.is_late = False
        return None

    def limit_s(self, limit_s: float | None) -> float | None:
        """Return how long to wait for something else, at most `limit_s`, before the next video is asked for."""
        return min(NOT_READY_S, limit_s or NOT_READY_S) if self.is_late else limit_s


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Decoded:
    """Frames have been decoded.

    Parameters
    ----------
    count : int
        Frames that came out of the decoder; 0 without `frames`: the decoder is still at work.
    frames : ndarray or Tensor
        Those in ``plan.source_frames``, as often as they are in it: (N, H, W, 3) uint8, N from 0 to `BLOCK_FRAMES`;
        (N, H, W, 2) if they are optical flow.
    release : callable
        To be called when `frames` has been used: its memory is then overwritten.
    ready : torch.cuda.Event, optional
        When `frames` are complete, if a GPU decodes them on a stream of its own.
    """

    count: int
    frames: NDArray[np.uint8] | Tensor
    release: Callable[[], None] = _nothing
    ready: torch.cuda.Event | None = None


@dataclass(frozen=True)
class Finished:
    """A video was decoded completely: its last event."""


@dataclass(frozen=True)
class Failed:
    """A video cannot be decoded completely and faithfully: its last event."""

    error: AslKitError


Event = Opened | Decoded | Finished | Failed


def decode_video(path: VideoSource, settings: DecodeSettings) -> Iterator[Event]:
    """Yield the events of one video; errors are events too.

    Frames after the last one that is needed are decoded too, to detect damaged files.
    """
    try:
        reader = open_reader(
            path,
            settings.decoder,
            threads=settings.threads,
            device=settings.device,
            flow_images=settings.flow_images,
        )
        try:
            _check_duration(path, reader, settings)
            plan = settings.plan(reader)
            yield Opened(plan, getattr(reader, "image_decoder", ""), getattr(reader, "note", ""))
            yield from _decode(reader, plan.source_frames)
        finally:
            reader.close()
    except AslKitError as fault:
        yield Failed(fault)
    except MemoryError:
        yield Failed(
            VideoError(
                f"{path}: not enough memory to decode it",
                hint="use fewer --workers, or 0",
            )
        )
    except Exception as fault:  # a decoder may raise anything for a damaged file
        reason = str(fault).strip() or type(fault).__name__
        yield Failed(VideoError(f"{path}: cannot be read: {reason}"))
    else:
        yield Finished()


def _check_duration(path: VideoSource, reader: FrameReader, settings: DecodeSettings) -> None:
    """Refuse a file whose time stamps would make millions of features from a few frames."""
    if settings.resample_fps is None:
        return
    duration_s = reader.frame_count / reader.fps if reader.display_s is None else float(reader.display_s[-1])
    frames = duration_s * settings.resample_fps
    if frames > MAX_RESAMPLED_FRAMES and frames > MAX_REPEATS * reader.frame_count:
        raise VideoError(
            f"{path}: {reader.frame_count} frames with time stamps over {duration_s:.0f} s: {frames:.0f} frames "
            f"at {settings.resample_fps:g} a second",
            hint="its time stamps are damaged; rewrite it: ffmpeg -i IN -vf setpts=N/25/TB -r 25 OUT.mp4",
        )


def _decode(reader: FrameReader, needed: NDArray[np.int64]) -> Iterator[Decoded]:
    max_frames = min(BLOCK_FRAMES, max(1, BLOCK_BYTES // (reader.height * reader.width * 3)))
    start = 0
    for block in reader.blocks(max_frames):
        stop = start + len(block)
        first, last = np.searchsorted(needed, (start, stop))
        chosen = needed[first:last] - start
        if np.array_equal(chosen, np.arange(len(block))):
            yield Decoded(count=len(block), frames=block)
        else:
            yield Decoded(count=len(block), frames=block[chosen[:max_frames]])
            for piece in range(max_frames, len(chosen), max_frames):  # frames that are shown several times
                yield Decoded(count=0, frames=block[chosen[piece : piece + max_frames]])
        start = stop


def stalled(path: VideoSource, time_limit_s: float) -> VideoError:
    """Return the error for a video whose decoder delivered nothing for too long."""
    return VideoError(
        f"{path}: its decoder delivered nothing for {time_limit_s:g} s",
        hint="try another --decoder, or a longer --time-limit with --retry-failed",
    )


def decode_here(
    videos: Iterable[NextVideo],
    settings: DecodeSettings,
    *,
    time_limit_s: float | None = None,
) -> Generator[tuple[str, Event], None, None]:
    """Yield the events of videos, one video after the other, decoded in this process.

    Parameters
    ----------
    videos : iterable of NextVideo
        Taken one by one as they are decoded.
    settings : DecodeSettings
        How to decode.
    time_limit_s : float, optional
        A video fails when a block took longer. Checked between blocks only: this process cannot interrupt itself.
    """
    for video in videos:
        if video is None:
            time.sleep(NOT_READY_S)
            continue
        key, path = video
        if isinstance(path, AslKitError):
            yield key, Failed(path)
            continue
        started_s = time.monotonic()
        for event in decode_video(path, settings):
            if time_limit_s is not None and time.monotonic() - started_s > time_limit_s:
                yield key, Failed(stalled(path, time_limit_s))
                break
            yield key, event
            started_s = time.monotonic()
