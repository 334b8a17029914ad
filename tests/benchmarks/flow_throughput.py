"""What optical flow costs, in one run: ``python tests/benchmarks/flow_throughput.py``.

Rounds of the methods alternate, so that other work on the machine meets all alike. For each method:

- pairs of frames a second of the method alone;
- its share of a whole extraction: decoding, flow and ``i3d_flow`` on the windows;
- with ``--memory``: by how much the process grows from the first quarter of a video to its end.

Weights are random: the time does not depend on them.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.extraction import make_extractor
from helpers.support import write_video

from asl_extract.extractor import Extractor
from asl_extract.flow.preparation import FLOW_METHODS, FlowPreparer


class Timed:
    """A method of optical flow that keeps count of its time."""

    def __init__(self, method: Any, *, device: str) -> None:
        self.method = method
        self.computes_on_host = method.computes_on_host
        self.device = device
        self.pairs = 0
        self.seconds = 0.0
        self.resident_mib: list[float] = []

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        started_s = self._now_s()
        flow: torch.Tensor = self.method(frames)
        self.seconds += self._now_s() - started_s
        self.pairs += len(frames) - 1
        self.resident_mib.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return flow

    def _now_s(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(FLOW_METHODS), choices=list(FLOW_METHODS))
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="input size of the backbone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument(
        "--memory", action="store_true", help="print how the process grows; give one method and a long video"
    )
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    timed: dict[str, Timed] = {}
    extractors: dict[str, Extractor] = {}
    for name in options.methods:
        extractor = make_extractor(
            backbone="i3d_flow",
            weights="random",
            flow=name,
            flow_weights="default" if name == "tvl1" else "random",
            window_frames=options.window,
            stride_frames=options.stride,
            frame_size=options.size,
            device=options.device,
        )
        prepare = extractor._prepare
        assert isinstance(prepare, FlowPreparer)
        timed[name] = prepare.method = Timed(prepare.method, device=options.device)  # type: ignore[assignment]
        extractors[name] = extractor
    whole_s: dict[str, list[float]] = {name: [] for name in options.methods}
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "video.mp4", frames=options.frames, fps=25, size=(340, 256))
        for _ in range(options.rounds):
            for name, extractor in extractors.items():
                started_s = time.perf_counter()
                extractor.extract(video)
                whole_s[name].append(time.perf_counter() - started_s)
    print(f"340x256 H.264 of {options.frames} frames, input {options.size} px, window {options.window},")
    print(
        f"stride {options.stride}, {options.device}, {torch.get_num_threads()} torch threads, {options.rounds} rounds"
    )
    for name, method in timed.items():
        share = method.seconds / sum(whole_s[name])
        print(
            f"{name:10}  {method.pairs / method.seconds:8.2f} pairs/s  {share:5.0%} of the extraction,"
            f" which takes {statistics.median(whole_s[name]):.1f} s a video"
        )
        if options.memory:
            early, late = method.resident_mib[len(method.resident_mib) // 4], method.resident_mib[-1]
            print(f"{'':10}  peak memory {early:.0f} MiB after a quarter of the frames, {late:.0f} MiB at the end")


if __name__ == "__main__":
    main()
