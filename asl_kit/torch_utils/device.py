"""Which device computes, and in which arithmetic."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray

from asl_kit.errors import MissingDependencyError, UsageError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

PRECISIONS = ("float32", "float16", "bfloat16")


@functools.cache
def _keep_freed_memory() -> None:
    """Tell the C library to keep the memory that tensors free, for the next ones.

    By default glibc hands large blocks back to the system, which clears them for every new tensor: on two
    cores x3d_xs then makes 32 clips a second, and 100 with this (tests/benchmarks/extract_throughput.py).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is the first GPU, or else the CPU.

    For a CPU, memory that is freed stays with the process from now on: see `_keep_freed_memory`.

    Raises
    ------
    UsageError
        If there is no such kind of device.
    MissingDependencyError
        If this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise UsageError(f"unknown device {name!r}", hint="devices: auto, cpu, cuda, cuda:0, cuda:1, ...")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise MissingDependencyError(
            f"device {name!r}: this machine offers torch {torch.cuda.device_count()} CUDA devices",
            hint="use --device cpu, or install a GPU driver and a CUDA build of torch",
        )
    if kind == "cpu":
        _keep_freed_memory()
    return torch.device(name)


def choose_devices(names: str) -> list[str]:
    """Return the names of one or several devices: ``cuda:0,cuda:1``, or ``all`` CUDA devices.

    Raises
    ------
    UsageError, MissingDependencyError
        As `choose_device`.
    """
    if names == "all":
        names = ",".join(f"cuda:{index}" for index in range(torch.cuda.device_count())) or "cuda"
    return [str(choose_device(name.strip())) for name in names.split(",")]


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16: newer GPUs, and CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not public, so that they may go; without an answer the CPU counts as one that has none.
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask is not None and bool(ask()) for ask in asked)


def default_precision(device: torch.device) -> str:
    """Return what features are extracted in: bfloat16 on a GPU that computes it, float16 on others, float32 on a CPU.

    Features are kept and compared, so that a CPU, which is no GPU's rival for speed, computes them exactly.
    """
    if device.type == "cpu":
        return "float32"
    return "bfloat16" if computes_bfloat16(device) else "float16"


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the torch type of a precision's name.

    ``auto`` is what a model is trained and used in: bfloat16 where the device computes it, else float16 on a
    GPU and float32 on a CPU.
    """
    if name == "auto":
        name = "bfloat16" if computes_bfloat16(device) else default_precision(device)
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Return the context in which a network computes in `precision`; float32 changes nothing."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def pin_memory(device: torch.device) -> Callable[[NDArray[np.uint8]], Callable[[], None]] | None:
    """Return what makes host memory known to a GPU, so that it copies while it computes; None on a CPU.

    The function that is returned takes the memory, and returns what undoes it.
    """
    if device.type != "cuda":
        return None

    def pin(memory: NDArray[np.uint8]) -> Callable[[], None]:
        runtime = torch.cuda.cudart()
        with torch.cuda.device(device):
            failed = int(runtime.cudaHostRegister(memory.ctypes.data, memory.nbytes, 0))
        # Where the system allows no more pinned memory, copies are slower and nothing else changes.
        return lambda: None if failed else runtime.cudaHostUnregister(memory.ctypes.data)

    return pin
