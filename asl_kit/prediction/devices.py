"""A trained model on several devices of this host: a process for each, which share the videos."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from asl_extract.executors.devices import LOST, PROGRESS, RESULT, DeviceQueue, work_on_devices
from asl_extract.remote.cache import CacheSettings
from asl_extract.videos import Video
from asl_kit.detections.per_video import VideoDetections
from asl_kit.errors import AslKitError, VideoError
from asl_kit.prediction.trained_model import load_model


@dataclass(frozen=True)
class ModelOnDevices:
    """A trained model in one process for each device.

    The videos of a process that dies go to the others, and another process takes its place.

    Parameters
    ----------
    devices : sequence of str
        Names of devices; one may be named several times.
    checkpoint : path or sequence of paths
        The trained model, or several.
    loading : dict
        The other arguments of `asl_kit.prediction.trained_model.load_model`.
    """

    devices: Sequence[str]
    checkpoint: str | Path | Sequence[str | Path]
    loading: dict[str, Any]

    def detect_all(
        self,
        videos: Sequence[Video],
        *,
        workers: int | None = None,
        time_limit_s: float | None = None,
        on_frames: Callable[[Video, float, int], None] | None = None,
        cache: CacheSettings | None = None,
    ) -> Generator[tuple[Video, VideoDetections | AslKitError], None, None]:
        """Yield the detections in each of many videos, or the error of that video, as soon as they are known.

        The parameters are those of `asl_kit.prediction.trained_model.TrainedModel.detect_all`; `workers` are for each
        device.

        Raises
        ------
        AslKitError
            If the model cannot be loaded or a device has too little memory; or if processes die at their start.
        """
        arguments = (self.checkpoint, self.loading, workers, time_limit_s, cache)
        with closing(work_on_devices(self.devices, videos, _run, *arguments)) as messages:
            for kind, content in messages:
                if kind == RESULT:
                    yield content
                elif kind == LOST:
                    file, reason = content
                    yield file, VideoError(reason)
                elif kind == PROGRESS and on_frames is not None:
                    on_frames(*content)


def _run(
    connection: Connection,
    device: str,
    checkpoint: str | Path | Sequence[str | Path],
    loading: dict[str, Any],
    workers: int | None,
    time_limit_s: float | None,
    cache: CacheSettings | None = None,
) -> None:
    """Detect in the videos of a queue, in a device's process."""
    queue = DeviceQueue(connection)
    try:
        model = load_model(checkpoint, device=device, **loading)
        while (first := queue.get()) is not None:
            videos: Iterator[Video] = chain([first], iter(queue.get, None))
            results = model.detect_all(
                videos, workers=workers, time_limit_s=time_limit_s, on_frames=queue.send_progress, cache=cache
            )
            with closing(results):
                for file, found in results:
                    queue.send_result(file.video_id, (file, found))
    except AslKitError as fault:
        queue.fail(fault)
