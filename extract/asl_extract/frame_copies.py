"""Decoded frames on their way to the device: a GPU copies the next ones while it computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from asl_extract.decoding.events import Decoded


class FrameCopies:
    """Copies of frames to a device.

    Parameters
    ----------
    device : torch.device
        Where the frames are needed. A GPU copies on a stream of its own.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._copying: deque[tuple[torch.cuda.Event, Callable[[], None]]] = deque()

    def to_device(self, event: Decoded) -> Tensor:
        """Return frames, for use on the current stream. On a CPU it is the caller who releases them after use.

        Frames that were decoded on the device are returned as they are.
        """
        if self._stream is None:
            return torch.as_tensor(event.frames)
        computing = torch.cuda.current_stream(self._device)
        if isinstance(event.frames, Tensor):
            if event.ready is not None:  # decoded on another stream
                computing.wait_event(event.ready)
                event.frames.record_stream(computing)
            event.release()
            return event.frames
        with torch.cuda.stream(self._stream):
            frames = torch.from_numpy(event.frames).to(self._device, non_blocking=True)
            copied = self._stream.record_event()
        computing.wait_event(copied)
        frames.record_stream(computing)
        self._copying.append((copied, event.release))
        self._release(leave=1)  # all buffers but the last: the decoder needs them
        return frames

    def finish(self) -> None:
        """Wait for all copies, and release their frames."""
        self._release(leave=0)

    def _release(self, *, leave: int) -> None:
        while len(self._copying) > leave:
            copied, release = self._copying.popleft()
            copied.synchronize()
            release()
