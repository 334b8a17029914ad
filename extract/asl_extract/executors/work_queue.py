"""Several workers on one job: which worker extracts which video.

A *worker* is a process with a device of its own, on this host or another. It takes one video after the other from its
`WorkQueue` and reports each result. At the other end a *coordinator* assigns the videos; those of a lost worker are
assigned again. All workers fill one store.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from asl_extract.executors.base import Callbacks
from asl_extract.videos import Video

ATTEMPTS = 2
"""Workers that may be lost while they work on a video, before it fails: it might end every worker."""


class WorkQueue(Callbacks, Protocol):
    """A worker's source of videos, and where it reports to."""

    def get(self) -> Video | None:
        """Return the next video; None if there is none.

        For a worker without videos None is final: this waits until no other worker's videos can come back. For a
        worker that still has videos None means that there is none now.
        """


@dataclass
class Coordinator:
    """Assigns the `waiting` videos to workers in this order, and those of a lost worker to others."""

    waiting: deque[Video]
    _assigned: dict[str, dict[str, Video]] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)

    def assign(self, worker: str) -> Video | None:
        """Return the next video for a worker; None if there is none now."""
        if not self.waiting:
            return None
        file = self.waiting.popleft()
        self._assigned.setdefault(worker, {})[file.video_id] = file
        return file

    def finished(self, worker: str, video_id: str) -> None:
        """Record that a worker has finished a video, with whatever result."""
        self._assigned.get(worker, {}).pop(video_id, None)

    def lost(self, worker: str, reason: str) -> list[tuple[Video, str]]:
        """Put the videos of a lost worker at the head of the queue.

        Those that have lost `ATTEMPTS` workers are returned instead, each with why it failed; `reason` is how the
        worker was lost.
        """
        failed = []
        for file in reversed(self._assigned.pop(worker, {}).values()):
            losses = self._losses[file.video_id] = self._losses.get(file.video_id, 0) + 1
            if losses < ATTEMPTS:
                self.waiting.appendleft(file)
            else:
                text = f"{file.path}: {ATTEMPTS} workers died while they worked on it; the last: {reason}"
                failed.append((file, text))
        return failed

    def is_idle(self, worker: str) -> bool:
        """Whether a worker has no video."""
        return not self._assigned.get(worker)

    @property
    def is_finished(self) -> bool:
        """Whether all videos are finished or given up."""
        return not self.waiting and not any(self._assigned.values())
