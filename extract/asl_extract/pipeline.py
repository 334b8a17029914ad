"""From decoded frames to features: each frame is prepared once, and clips of several videos may share a batch.

A ring buffer on the device holds the prepared frames that the next clip needs. Its length depends only on the window,
and batches are filled clip by clip, so the memory does not depend on the length of a video. The features of a long
video are kept in a file.

On a GPU, a batch may hold clips of several videos, so short videos fill it too. On a CPU, where a full batch is no
faster, it does not, and the features of a video are bit-identical whatever other videos are extracted.

Shapes: B clips, T frames per clip, S x S pixels, C channels, D values per feature.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_extract.backbones.spec import Backbone
from asl_extract.clip_plan import ClipPlan
from asl_extract.decoding.events import BLOCK_FRAMES, Decoded, Event, Failed, Finished, Opened
from asl_extract.device_time import DeviceTime
from asl_extract.frame_copies import FrameCopies
from asl_extract.frames import Preparer, VideoPreparer
from asl_extract.video_buffers import ClipWindow, FeatureRows
from asl_kit.errors import AslKitError
from asl_kit.torch_utils.device import autocast, choose_precision


@dataclass
class FrameCount:
    """Number of frames processed, and the time that it took.

    Parameters
    ----------
    decoded : int
        Frames that were decoded.
    prepared : int
        Frames that were resized and normalised.
    in_files : int
        Frames in the opened files.
    seconds, waited_s : float
        How long that took, and how much of it the device waited for decoded frames.
    """

    decoded: int = 0
    prepared: int = 0
    in_files: int = 0
    seconds: float = field(default=0.0, compare=False)
    waited_s: float = field(default=0.0, compare=False)


@dataclass
class _Video:
    """A video that is being extracted."""

    video_id: str
    opened: Opened
    prepare: VideoPreparer
    window: ClipWindow
    rows: FeatureRows
    is_decoded: bool = False

    @property
    def plan(self) -> ClipPlan:
        return self.opened.plan

    @property
    def is_complete(self) -> bool:
        return self.is_decoded and self.rows.count == self.plan.length


@dataclass
class _Batch:
    """Clips on the device, (B, T, S, S, C), and the videos that they belong to."""

    clips: Tensor
    owners: list[tuple[_Video, int]] = field(default_factory=list)
    """Each video with its number of clips, in order."""
    filled: int = 0


@dataclass
class _Running:
    """Features that are being computed or copied."""

    features: Tensor
    owners: list[tuple[_Video, int]]
    ready: torch.cuda.Event | None


@dataclass(frozen=True)
class VideoFeatures:
    """The features of a video, one row per clip: (plan.length, D)."""

    opened: Opened
    features: NDArray[np.float32]


class FeaturePipeline:
    """Turns the events of decoders into features.

    Parameters
    ----------
    backbone : Backbone
        In evaluation mode.
    prepare : Preparer
        Prepares frames on the backbone's device.
    precision : {'float32', 'float16', 'bfloat16'}
        Arithmetic of the backbone.
    batch_size : int
        Clips per forward pass, at most.
    count : FrameCount
        Updated as frames are processed.
    folder : Path, optional
        Folder for temporary files with the features of long videos; None: the system's.
    on_frames : callable, optional
        Called with (video id, frames just decoded, frames in the file).
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        prepare: Preparer,
        precision: str,
        batch_size: int,
        count: FrameCount,
        folder: Path | None = None,
        on_frames: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._backbone = backbone
        self._prepare = prepare
        self._device = prepare.device
        self._precision = choose_precision(precision, prepare.device)
        self._batch_size = batch_size
        self._count = count
        self._folder = folder
        self._on_frames = on_frames
        self._mixes_videos = self._device.type == "cuda"
        self._videos: dict[str, _Video] = {}
        self._batches: dict[str, _Batch] = {}  # being filled: one per video, or one under "" for all
        self._spare: list[Tensor] = []
        self._running: deque[_Running] = deque()
        self._copies = FrameCopies(self._device)

    def run(self, events: Iterator[tuple[str, Event]]) -> Iterator[tuple[str, VideoFeatures | AslKitError]]:
        """Yield each video's features, or its error, as soon as they are known.

        Parameters
        ----------
        events : iterator of (video id, Event)
            The events of each video are in order; several videos may be interleaved.

        Raises
        ------
        AslKitError
            If the device has too little memory, or the disk is full.
        """
        try:
            before_s, waited_before_s = self._count.seconds, self._count.waited_s
            time = DeviceTime(self._device)
            for video_id, event in time.timed(events):
                self._count.seconds = before_s + time.seconds
                self._count.waited_s = waited_before_s + time.waited_s
                self._take(video_id, event)
                if isinstance(event, Failed):
                    yield video_id, event.error
                yield from self._complete()
            for key in list(self._batches):
                self._compute(key)
            self._retire(leave=0)
            yield from self._complete()
        except torch.OutOfMemoryError as fault:
            raise AslKitError(
                f"the device has too little memory for {self._batch_size} clips at once",
                hint=f"use a smaller --batch-size than {self._batch_size}",
            ) from fault

    def finish_copies(self) -> None:
        """Wait until no frames are being copied to the device: their memory may then end."""
        self._copies.finish()

    def _take(self, video_id: str, event: Event) -> None:
        if isinstance(event, Decoded):
            self._take_frames(self._videos[video_id], event)
        elif isinstance(event, Finished):
            video = self._videos[video_id]
            with torch.inference_mode():
                self._add(video, video.prepare.finish())
            assert video.window.taken == video.plan.length
            video.is_decoded = True
            if not self._mixes_videos and video_id in self._batches:
                self._compute(video_id)
        elif isinstance(event, Failed):
            self._drop(video_id)
        else:
            self._count.in_files += event.plan.frame_count
            self._videos[video_id] = _Video(
                video_id, event, self._prepare.stream(), ClipWindow(event.plan), FeatureRows(self._folder)
            )

    def _drop(self, video_id: str) -> None:
        """Forget a video; `_retire` discards its features that are still being computed."""
        self._videos.pop(video_id, None)
        batch = self._batches.pop(video_id, None)
        if batch is not None:
            self._spare.append(batch.clips)

    def _take_frames(self, video: _Video, event: Decoded) -> None:
        self._count.decoded += event.count
        self._count.prepared += len(event.frames)
        if len(event.frames):
            with torch.inference_mode():
                self._add(video, video.prepare(self._copies.to_device(event)))
            if self._device.type == "cpu":
                event.release()
        if self._on_frames is not None and event.count:
            self._on_frames(video.video_id, event.count, video.plan.frame_count)

    def _add(self, video: _Video, frames: Tensor) -> None:
        """Put prepared frames into the video's window, and complete clips into batches."""
        key = "" if self._mixes_videos else video.video_id
        for block in frames.split(BLOCK_FRAMES) if len(frames) else ():
            video.window.add(block)
            while ready := video.window.ready:
                batch = self._batch(key, block, video.plan.clip_frames)
                number = min(ready, self._batch_size - batch.filled)
                video.window.take(batch.clips[batch.filled : batch.filled + number])
                batch.owners.append((video, number))
                batch.filled += number
                if batch.filled == self._batch_size:
                    self._compute(key)

    def _batch(self, key: str, frames: Tensor, clip_frames: int) -> _Batch:
        if key not in self._batches:
            shape = (self._batch_size, clip_frames, *frames.shape[1:])
            clips = self._spare.pop() if self._spare else frames.new_empty(shape)
            self._batches[key] = _Batch(clips)
        return self._batches[key]

    @torch.inference_mode()
    def _compute(self, key: str) -> None:
        """Run the backbone on a batch; on a GPU, start it."""
        batch = self._batches.pop(key)
        # Channels stay last in memory (channels_last_3d): X3D then runs twice as fast on a CPU.
        clips = batch.clips[: batch.filled].permute(0, 4, 1, 2, 3)
        with autocast(self._device, self._precision):
            features = self._backbone(clips).float()
        ready = None
        if self._mixes_videos:
            host = torch.empty(features.shape, pin_memory=True)
            features = host.copy_(features, non_blocking=True)
            ready = torch.cuda.current_stream(self._device).record_event()
        self._spare.append(batch.clips)  # reused on the same stream, and so after the backbone has read it
        self._running.append(_Running(features, batch.owners, ready))
        self._retire(leave=1 if self._mixes_videos else 0)

    def _retire(self, *, leave: int) -> None:
        """Assign features to their videos, except those of the last `leave` batches."""
        while len(self._running) > leave:
            running = self._running.popleft()
            if running.ready is not None:
                running.ready.synchronize()
            rows = running.features.numpy()
            start = 0
            for video, number in running.owners:
                if self._videos.get(video.video_id) is video:
                    video.rows.append(rows[start : start + number], length=video.plan.length)
                start += number

    def _complete(self) -> Iterator[tuple[str, VideoFeatures]]:
        for video in [video for video in self._videos.values() if video.is_complete]:
            del self._videos[video.video_id]
            yield video.video_id, VideoFeatures(video.opened, video.rows.array())
