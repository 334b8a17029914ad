"""Ranges of numbers made where they are used: copying them from the host would make it wait for the GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _RangesOn(TorchFunctionMode):
    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is torch.arange or function is torch.linspace:
            return function(*args, **(kwargs or {}) | {"device": self._device})
        return function(*args, **(kwargs or {}))


def ranges_on(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which `torch.arange` and `torch.linspace` work on a device, even if asked for the CPU.

    Networks make the positions that they index in each forward pass; torchvision's make some of them on the CPU.
    """
    return nullcontext() if device.type == "cpu" else _RangesOn(device)
