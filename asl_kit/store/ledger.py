"""The ledger: one line of JSON per attempt at a video, in one append-only file per worker."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from asl_kit.base.files import Readable
from asl_kit.errors import StoreError
from asl_kit.remote.address import local_path
from asl_kit.remote.folder import AnyFolder
from asl_kit.store.ids import encode_id

Outcome = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to make the features of a video."""

    time: str
    """End of the attempt: ISO 8601, UTC; sorts as text."""
    worker: str
    """Process that made the attempt: ``host-pid``, unless the worker was named."""
    video_id: str
    """Id of the video."""
    outcome: Outcome
    """`done` or `failed` or `skipped`: result."""
    reason: str
    """Why the attempt failed or was skipped; a note, possibly empty, if it is done."""
    seconds: float
    """Duration of the attempt."""


def default_worker() -> str:
    """Return ``host-pid`` of this process; never cached, because a fork changes it."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Ledger:
    """All attempts at the videos of a store, with their outcomes.

    Parameters
    ----------
    folder : Path or RemoteFolder
        Folder of the ``<worker>.jsonl`` files; created by the first record.
    """

    def __init__(self, folder: AnyFolder) -> None:
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
        folder = local_path(str(self.folder), what="a ledger")
        path = folder / f"{encode_id(worker)}.jsonl"
        try:
            folder.mkdir(exist_ok=True)
            with path.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                if end:
                    file.seek(end - 1)
                # If a worker of this name was killed while writing a line, start a new line.
                torn = end > 0 and file.read(1) != b"\n"
                file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
        except OSError as fault:
            raise StoreError(f"{self.folder}: cannot record video {video_id!r}: {fault.strerror or fault}") from fault

    def attempts(self) -> Iterator[Attempt]:
        """Yield every attempt of every worker in order of time; lines that a kill cut short are ignored."""
        paths: list[Readable] = sorted(self.folder.glob("*.jsonl"), key=str)
        found = [attempt for path in paths for attempt in _read(path)]
        yield from sorted(found, key=lambda attempt: attempt.time)

    def last_attempts(self) -> dict[str, Attempt]:
        """Return the last attempt at each video, ignoring skipped ones."""
        return {attempt.video_id: attempt for attempt in self.attempts() if attempt.outcome != "skipped"}

    def failed_attempts(self) -> dict[str, Attempt]:
        """Return the last attempt, ignoring skipped ones, at each video whose last attempt failed."""
        return {name: attempt for name, attempt in self.last_attempts().items() if attempt.outcome == "failed"}

    def failures(self) -> dict[str, str]:
        """Return the reason for each video whose last attempt, ignoring skipped ones, failed."""
        return {video_id: attempt.reason for video_id, attempt in self.failed_attempts().items()}


def _read(path: Readable) -> Iterator[Attempt]:
    for line in path.read_bytes().splitlines():
        try:
            attempt = Attempt(**json.loads(line))
        except (ValueError, TypeError, RecursionError):  # not JSON, not UTF-8, not an object, or other fields
            continue
        if isinstance(attempt.video_id, str) and isinstance(attempt.time, str):
            yield attempt
