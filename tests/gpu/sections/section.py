"""What every section of the GPU suite shares: its options, its timer and its output."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS), str(TESTS / "benchmarks")]  # the sections use what tests and benchmarks have


@dataclass(frozen=True)
class Options:
    """Where and how large to measure."""

    device: torch.device
    small: bool
    """Whether sizes are those that a CPU finishes in seconds: the figures mean nothing."""
    scratch: Path
    """Folder for temporary files."""
    actionformer: Path | None
    """A clone of https://github.com/happyharrycn/actionformer_release to compare with."""


@dataclass(frozen=True)
class Measure:
    """One measured figure."""

    what: str
    value: float | str
    unit: str = ""
    at_least: float | None = None
    """The smallest value that meets the target; None without one."""
    at_most: float | None = None
    """The largest value that meets the target; None without one."""


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device, *, repeats: int, warmup: int = 1) -> float:
    """Return the median seconds of some work, from before its start until the device has finished it."""
    for _ in range(warmup):
        work()
    taken_s = []
    for _ in range(repeats):
        synchronize(device)
        started_s = time.perf_counter()
        work()
        synchronize(device)
        taken_s.append(time.perf_counter() - started_s)
    return statistics.median(taken_s)


def kernel_use(work: Callable[[], object], device: torch.device) -> tuple[float, int]:
    """Return the seconds that the kernels of some work take on a GPU, and their number."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        work()
        synchronize(device)
    kernels = [event for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return sum(event.device_time for event in kernels) / 1e6, len(kernels)


def main(measure: Callable[[Options], Iterator[Measure]]) -> None:
    """Run a section from its command line: each figure goes to ``--out`` as a line of JSON as soon as it is known."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--actionformer", type=Path)
    arguments = parser.parse_args()
    from asl_kit.torch_utils.device import choose_device

    options = Options(choose_device(arguments.device), arguments.small, arguments.scratch, arguments.actionformer)
    torch.manual_seed(0)
    with arguments.out.open("w") as file:
        for figure in measure(options):
            file.write(json.dumps(asdict(figure)) + "\n")
            file.flush()
