"""How long the device waits for decoded frames."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

import torch

Item = TypeVar("Item")


class DeviceTime:
    """Times the wait for each of the items that give a device its work.

    A CPU waits while the next item is made. A GPU may still work then: it waited from the end of the work for one item
    to the begin of that for the next, and no longer than the host waited for this item.

    Parameters
    ----------
    device : torch.device
        The device.

    Attributes
    ----------
    seconds, waited_s : float
        Time since the first item was asked for, and how much of it the device waited for items.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self.waited_s = 0.0
        self._device = device
        self._is_cuda = device.type == "cuda"
        self._gaps: deque[tuple[torch.cuda.Event, torch.cuda.Event, float]] = deque()

    def timed(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the items; what is done with each before the next is asked for is its work."""
        started_s = time.monotonic()
        end = self._now()
        while True:
            before_s = time.monotonic()
            item = next(items, None)
            after_s = time.monotonic()
            self.seconds = after_s - started_s
            if item is None:
                self._add_gaps(wait=True)
                return
            begin = self._now()
            if end is not None and begin is not None:
                self._gaps.append((end, begin, after_s - before_s))
                self._add_gaps(wait=False)
            else:
                self.waited_s += after_s - before_s
            yield item
            end = self._now()

    def _now(self) -> torch.cuda.Event | None:
        """Return an event that the GPU reaches after the work that it was given so far."""
        if not self._is_cuda:
            return None
        event: torch.cuda.Event = torch.cuda.current_stream(self._device).record_event(
            torch.cuda.Event(enable_timing=True)
        )
        return event

    def _add_gaps(self, *, wait: bool) -> None:
        while self._gaps:
            end, begin, host_s = self._gaps[0]
            if wait:
                begin.synchronize()
            elif not begin.query():
                return
            self._gaps.popleft()
            self.waited_s += min(host_s, end.elapsed_time(begin) / 1000)
