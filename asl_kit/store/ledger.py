"""The ledger: one line of JSON for every attempt at a video, one file a worker, only ever appended to."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from asl_kit.errors import StoreError
from asl_kit.store.ids import encode_id

Outcome = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one video.

    Parameters
    ----------
    time : str
        When it ended: ISO 8601, UTC; sorts as text.
    worker : str
        Who made it: ``host-pid``, unless the worker was named.
    video_id : str
        The video.
    outcome : {"done", "failed", "skipped"}
        What came of it.
    reason : str
        Why it failed or was skipped; when done, what is worth knowing, if anything.
    seconds : float
        How long it took.
    """

    time: str
    worker: str
    video_id: str
    outcome: Outcome
    reason: str
    seconds: float


def default_worker() -> str:
    """Return ``host-pid`` of this process; asked anew each time, so that it is right after a fork."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Ledger:
    """What was tried, by whom, and what came of it.

    Parameters
    ----------
    folder : Path
        Holds ``<worker>.jsonl``; made at the first record.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(
        self, video_id: str, outcome: Outcome, reason: str = "", *, seconds: float = 0.0, worker: str | None = None
    ) -> None:
        """Append one attempt to the worker's file.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        worker = worker or default_worker()
        line = {
            "time": datetime.now(UTC).isoformat(timespec="microseconds"),
            "worker": worker,
            "video_id": video_id,
            "outcome": outcome,
            "reason": reason,
            "seconds": round(seconds, 3),
        }
        path = self.folder / f"{encode_id(worker)}.jsonl"
        try:
            self.folder.mkdir(exist_ok=True)
            with path.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                if end:
                    file.seek(end - 1)
                # A worker of this name was killed in mid-line: its rest must not swallow ours.
                torn = end > 0 and file.read(1) != b"\n"
                file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
        except OSError as fault:
            raise StoreError(f"{path}: cannot record video {video_id!r}: {fault.strerror or fault}") from fault

    def attempts(self) -> Iterator[Attempt]:
        """Yield every attempt of every worker in order of time; lines torn by a kill are passed over."""
        found = [attempt for path in sorted(self.folder.glob("*.jsonl")) for attempt in _read(path)]
        yield from sorted(found, key=lambda attempt: attempt.time)

    def failed_attempts(self) -> dict[str, Attempt]:
        """Return the last attempt, skipped ones aside, at each video at which that attempt failed."""
        failed: dict[str, Attempt] = {}
        for attempt in self.attempts():
            if attempt.outcome == "failed":
                failed[attempt.video_id] = attempt
            elif attempt.outcome == "done":
                failed.pop(attempt.video_id, None)
        return failed

    def failures(self) -> dict[str, str]:
        """Return the reason for each video whose last attempt, skipped ones aside, failed."""
        return {video_id: attempt.reason for video_id, attempt in self.failed_attempts().items()}


def _read(path: Path) -> Iterator[Attempt]:
    for line in path.read_bytes().splitlines():
        try:
            yield Attempt(**json.loads(line))
        except (ValueError, TypeError, RecursionError):  # not JSON, not UTF-8, not an object, not these fields
            continue
