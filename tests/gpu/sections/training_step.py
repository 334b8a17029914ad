"""The training step at THUMOS14's shape, beside ActionFormer's: seconds, kernel time over wall time, launches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import train_step
from section import Measure, Options, kernel_use, seconds_of

from asl_kit.torch_utils.device import computes_bfloat16

TARGET_SHARE = 0.4
"""Largest share of the step of ActionFormer as published, float32, that our default step may take on a GPU."""


def measure(options: Options) -> Iterator[Measure]:
    """Yield the seconds of each kind of step; a figure is the median of many steps."""
    device = options.device
    if options.small:
        train_step.use_small_shape()
    own = ["model.width=32"] if options.small else []
    repeats, warmup = (2, 1) if options.small else (200, 10)
    batches = [train_step.make_sequences([train_step.LONGEST] * train_step.BATCH)]
    precisions = ["float32", "bfloat16"] if computes_bfloat16(device) else ["float32"]
    works = {}
    if options.actionformer:
        for precision in precisions:
            peer = train_step.Peer(options.actionformer, device, precision)
            works[f"ActionFormer, {precision}"] = peer.step(batches)
    for name, settings in {"baseline": train_step.BASELINE, "default": [], "all of ASL": [train_step.ALL]}.items():
        for precision in precisions:
            works[f"{name}, {precision}"] = train_step.our_step(batches, device, precision, settings + own)
    published_s = None
    for name, work in works.items():
        taken_s = seconds_of(work, device, repeats=repeats, warmup=warmup)
        published_s = published_s or (taken_s if name.startswith("ActionFormer") else None)
        yield Measure(f"step, {name}", taken_s * 1e3, "ms")
        if published_s and not name.startswith("ActionFormer"):
            target = TARGET_SHARE if device.type == "cuda" and name.startswith("default") else None
            yield Measure(f"step, {name}, of ActionFormer's float32", taken_s / published_s, at_most=target)
        if device.type == "cuda":
            kernels_s, launches = kernel_use(work, device)
            yield Measure(f"step, {name}, kernel time over wall time", kernels_s / taken_s)
            yield Measure(f"step, {name}, kernels", launches)
            yield Measure(f"step, {name}, peak memory", torch.cuda.max_memory_allocated(device) / 2**30, "GiB")
            torch.cuda.reset_peak_memory_stats(device)
