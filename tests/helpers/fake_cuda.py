"""Streams and events of a GPU without one: they record in which order the host asks for what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch


class FakeEvent:
    """An event that completes when the host waits for it."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log = log
        self.name = name

    def synchronize(self) -> None:
        self._log.append(f"host waits for {self.name}")

    def query(self) -> bool:
        return False


class FakeStream:
    """A stream that numbers its events."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log = log
        self.name = name
        self._events = 0

    def record_event(self, event: FakeEvent | None = None) -> FakeEvent:
        self._events += 1
        return event or FakeEvent(self._log, f"{self.name} {self._events}")

    def wait_event(self, event: FakeEvent) -> None:
        self._log.append(f"{self.name} waits for {event.name}")


def fake_streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put stand-ins in the place of torch's streams; return the log of what they are asked for.

    Streams are named ``stream 1``, ``stream 2``, ... as they are made; the current one at the start is ``computing``.
    """
    log: list[str] = []
    current = [FakeStream(log, "computing")]
    made: list[FakeStream] = []

    def make(device: Any = None, **_: Any) -> FakeStream:
        made.append(FakeStream(log, f"stream {len(made) + 1}"))
        return made[-1]

    @contextmanager
    def use(stream: FakeStream) -> Iterator[None]:
        current.append(stream)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "Stream", make)
    monkeypatch.setattr(torch.cuda, "stream", use)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: current[-1])
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda frames, stream: log.append(f"{stream.name} reads"))
    return log
