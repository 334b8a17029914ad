"""What the hardware can do: copies and matrix products, the ceilings of everything else."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

import torch
from section import Measure, Options, seconds_of


def measure(options: Options) -> Iterator[Measure]:
    """Yield the machine's names and ceilings."""
    device = options.device
    on_gpu = device.type == "cuda"
    yield Measure("device", torch.cuda.get_device_name(device) if on_gpu else platform.processor() or "CPU")
    yield Measure("PyTorch", torch.__version__)
    yield Measure("CPU cores", len(os.sched_getaffinity(0)))

    size = 2**24 if options.small else 2**31
    source = torch.randint(256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken_s = seconds_of(lambda: target.copy_(source), device, repeats=10)
    yield Measure("copy on the device, read and written", 2 * size / taken_s / 1e9, "GB/s")
    if on_gpu:
        host = torch.empty(size // 4, dtype=torch.uint8, pin_memory=True)
        taken_s = seconds_of(lambda: target[: len(host)].copy_(host, non_blocking=True), device, repeats=10)
        yield Measure("copy from pinned memory", len(host) / taken_s / 1e9, "GB/s")

    n = 512 if options.small else 8192
    for dtype in (torch.float32, torch.bfloat16) if not on_gpu else (torch.float32, torch.bfloat16, torch.float16):
        left, right = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        taken_s = seconds_of(lambda left=left, right=right: left @ right, device, repeats=10, warmup=3)
        yield Measure(f"matrix product, {str(dtype)[6:]}", 2 * n**3 / taken_s / 1e12, "TFLOP/s")
