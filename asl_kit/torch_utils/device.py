"""Devices and arithmetic precision."""

from __future__ import annotations

import ctypes
import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from asl_kit.errors import MissingDependencyError, UsageError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

PRECISIONS = ("float32", "float16", "bfloat16")


@functools.cache
def _keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next tensors.

    By default, glibc returns large blocks to the system, which clears them for every new tensor. On two
    cores, x3d_xs processes 32 clips a second by default and 100 with this (tests/benchmarks/extract_throughput.py).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the first GPU, or the CPU without one.

    This only looks; `use_device` also prepares the process to compute there.

    Raises
    ------
    UsageError
        If the name is invalid.
    MissingDependencyError
        If this machine does not have the device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise UsageError(f"unknown device {name!r}", hint="devices: auto, cpu, cuda, cuda:0, cuda:1, ...")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise MissingDependencyError(
            f"device {name!r} is not available: torch sees {torch.cuda.device_count()} CUDA devices",
            hint="use --device cpu, or install a GPU driver and a CUDA build of torch",
        )
    return torch.device(name)


def use_device(name: str) -> torch.device:
    """Return the device of a name, as `choose_device`, and prepare this process to compute there.

    On a GPU, float32 means float32 from now on, in matrix products and convolutions: by default, PyTorch lets cuDNN
    round the inputs of convolutions to TF32, which has 10 bits of precision. The GPU that the name states becomes the
    current device of this thread; what PyTorch does without naming a device (events, pinned memory) belongs to it.
    On a CPU, the process keeps freed memory: see `_keep_freed_memory`.

    Raises
    ------
    UsageError, MissingDependencyError
        As `choose_device`.
    """
    device = choose_device(name)
    if device.type == "cpu":
        _keep_freed_memory()
        return device
    if device.index is not None:
        torch.cuda.set_device(device)
    with warnings.catch_warnings():
        # These settings hold in every version of PyTorch. Some versions call them deprecated, but the settings meant
        # to replace them (2.9) make PyTorch raise wherever these are read.
        warnings.simplefilter("ignore")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    return device


def choose_devices(names: str) -> list[str]:
    """Return the names of one or several devices: ``cuda:0,cuda:1``, or ``all`` for all CUDA devices.

    Raises
    ------
    UsageError, MissingDependencyError
        As `choose_device`.
    """
    if names == "all":
        names = ",".join(f"cuda:{index}" for index in range(torch.cuda.device_count())) or "cuda"
    return [str(choose_device(name.strip())) for name in names.split(",")]


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device has bfloat16 instructions: newer GPUs, and CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # These functions are not public and may disappear; then bfloat16 counts as not available.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check is not None and bool(check()) for check in checks)


def default_precision(device: torch.device) -> str:
    """Return the default precision of extraction: float32 on a CPU, bfloat16 on GPUs that support it, else float16.

    Features are stored and compared, so a CPU, which is slow anyway, computes them in full precision.
    """
    if device.type == "cpu":
        return "float32"
    return "bfloat16" if computes_bfloat16(device) else "float16"


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the torch type for the name of a precision.

    ``auto`` is the default for training and inference: bfloat16 if the device supports it, else float16 on a
    GPU and float32 on a CPU.
    """
    if name == "auto":
        name = "bfloat16" if computes_bfloat16(device) else default_precision(device)
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Return an autocast context for `precision`; float32 changes nothing."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Compute on the CPU in one thread: threads that share an operation end together, so they wait for a busy core."""
    threads = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def pin_memory(device: torch.device) -> Callable[[NDArray[np.uint8]], Callable[[], None]] | None:
    """Return a function that pins host memory, so that a GPU copies while it computes; None on a CPU.

    The function takes the memory and returns a function that unpins it.
    """
    if device.type != "cuda":
        return None

    def pin(memory: NDArray[np.uint8]) -> Callable[[], None]:
        runtime = torch.cuda.cudart()
        with torch.cuda.device(device):
            failed = int(runtime.cudaHostRegister(memory.ctypes.data, memory.nbytes, 0))
        # If the system does not allow more pinned memory, copies are just slower.
        if failed:
            _clear_cuda_error()
        return lambda: None if failed else runtime.cudaHostUnregister(memory.ctypes.data)

    return pin


def _clear_cuda_error() -> None:
    """Clear this thread's last error in the CUDA runtime, which the next kernel would report as its own.

    PyTorch has no function for it, but has loaded the runtime for all of the process.
    """
    clear = getattr(ctypes.CDLL(None), "cudaGetLastError", None)
    if clear is not None:
        clear()
