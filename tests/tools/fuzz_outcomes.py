"""The outcome of reading a damaged file, and its time limit."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PATIENCE_S = 20
"""Limit of processor time; on a busy machine the wall time may be `PATIENT_ROUNDS` times as long."""
PATIENT_ROUNDS = 6


@dataclass
class Outcome:
    """The outcome of reading a damaged file: `refused`, `accepted`, or the kind of fault."""

    kind: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        return self.kind not in ("refused", "accepted")


@contextmanager
def at_most() -> Iterator[None]:
    """Raise `TimeoutError` in a block that takes longer than `PATIENCE_S`."""
    started_s = time.process_time()
    rounds = 0

    def stop(*_: object) -> None:
        nonlocal rounds
        rounds += 1
        if time.process_time() - started_s > PATIENCE_S / 2 or rounds == PATIENT_ROUNDS:
            raise TimeoutError
        signal.alarm(PATIENCE_S)

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
