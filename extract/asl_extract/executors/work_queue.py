"""Several devices on one job: who works on which video, and what a worker does.

A *worker* is a process with a device of its own, here or on another host; it
asks its *desk* for one video after the other and tells it what came of each.
The driver sits on the other side: `asl_extract.executors.devices` for the devices
of this host, `asl_extract.executors.ray_cluster` for a cluster. What a lost worker had in
hand is handed out again. All workers fill one store.
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from asl_extract.videos import VideoFile
from asl_kit.errors import StoreError

ATTEMPTS = 2
"""A video that takes its worker with it so often is given up: it would take every worker there is."""


@dataclass(frozen=True)
class Job:
    """What all workers do alike.

    Parameters
    ----------
    store : Path
        The store's folder, made before; every worker must see it.
    settings : dict
        Arguments of `make_extractor`, the device left out.
    options : dict
        Arguments of `asl_extract.executors.filling.extract_into`.
    """

    store: Path
    settings: dict[str, Any]
    options: dict[str, Any]


class Desk(Protocol):
    """A worker's side of the driver."""

    def next(self) -> VideoFile | None:
        """Return the next video, or None: there is none.

        With nothing in hand, this waits: another worker's videos may come back. With something in
        hand it does not, and None says only that there is none now.
        """

    def tell(self, news: Any) -> None:
        """Tell what came of a video: an `asl_extract.executors.filling.Outcome`."""

    def advance(self, videos: float, note: str) -> None:
        """Tell how much more of a video is done, and how fast."""


def work(job: Job, desk: Desk, *, device: str) -> None:
    """Work on videos until the desk has none; what single videos do is told to the desk.

    Raises
    ------
    AslKitError
        If the job cannot be done at all, or a video fails and the job is to stop then.
    """
    from asl_extract.executors.filling import extract_into
    from asl_extract.settings import make_extractor
    from asl_kit.store import FeatureStore

    if not (job.store / "zarr.json").is_file():
        raise StoreError(
            f"{job.store}: the host {socket.gethostname()} does not see this store",
            hint="several hosts fill one store only on a file system that all of them share",
        )
    extractor, dtype = make_extractor(**job.settings, device=device)
    store = FeatureStore.open_or_create(job.store, extractor.spec, dtype)
    while (first := desk.next()) is not None:
        files = chain([first], iter(desk.next, None))
        extract_into(store, files, extractor=extractor, tell=desk.tell, advance=desk.advance, **job.options)


@dataclass
class Dispatcher:
    """Hands out videos, keeps in mind who has which, and gives a lost worker's to others.

    Parameters
    ----------
    waiting : deque of VideoFile
        What is to be done, in this order.
    """

    waiting: deque[VideoFile]
    _in_hand: dict[str, dict[str, VideoFile]] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)

    def next(self, worker: str) -> VideoFile | None:
        """Return the next video for a worker, or None: there is none now."""
        if not self.waiting:
            return None
        file = self.waiting.popleft()
        self._in_hand.setdefault(worker, {})[file.video_id] = file
        return file

    def settled(self, worker: str, video_id: str) -> None:
        """Take note that a worker is through with a video, well or badly."""
        self._in_hand.get(worker, {}).pop(video_id, None)

    def lost(self, worker: str) -> list[VideoFile]:
        """Take back what a lost worker had in hand; it is handed out again, first of all, up to `ATTEMPTS` times.

        Returns
        -------
        list of VideoFile
            Those that have had their attempts, and are given up.
        """
        given_up = []
        for file in reversed(self._in_hand.pop(worker, {}).values()):
            losses = self._losses[file.video_id] = self._losses.get(file.video_id, 0) + 1
            if losses < ATTEMPTS:
                self.waiting.appendleft(file)
            else:
                given_up.append(file)
        return given_up

    def has_nothing(self, worker: str) -> bool:
        """Say whether a worker has no video in hand."""
        return not self._in_hand.get(worker)

    @property
    def is_finished(self) -> bool:
        """Whether nothing waits and nobody has anything in hand."""
        return not self.waiting and not any(self._in_hand.values())
