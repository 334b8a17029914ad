"""How close extraction comes to the backbone alone, in one run: ``python tests/benchmarks/extract_throughput.py``.

Rounds of both alternate, so that other work on the machine meets both alike:

- end to end: one video file, decoded, prepared, its windows through the backbone;
- backbone alone: the same number of clips in the same batches, resident in memory.

Printed: clips per second of each, their ratio (1.00: decoding and preparing cost nothing), and
frames decoded divided by frames in the file.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import write_video

from asl_extract.extractor import Extractor


def backbone_alone(extractor: Extractor, *, clips: int, frame_size: int) -> float:
    """Return the seconds that the backbone takes for `clips` clips that lie in memory."""
    frames = extractor.spec.clip_frames
    batch = torch.randn(extractor.batch_size, frames, frame_size, frame_size, 3).permute(0, 4, 1, 2, 3)
    started_s = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, clips, extractor.batch_size):
            extractor._backbone(batch[: clips - start])
    return time.perf_counter() - started_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="x3d_xs")
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", type=int, help="input size of the backbone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="threads of torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    extractor = Extractor.create(
        backbone=options.backbone,
        weights="random",
        window_frames=options.window,
        stride_frames=options.stride,
        frame_size=options.size,
        device="cpu",
    )
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "video.mp4", frames=options.frames, fps=30, size=(340, 256))
        clips = len(extractor.extract(video).features)
        alone_s, whole_s = [], []
        for _ in range(options.rounds):
            alone_s.append(backbone_alone(extractor, clips=clips, frame_size=extractor.spec.frame_size))
            started_s = time.perf_counter()
            extractor.extract(video)
            whole_s.append(time.perf_counter() - started_s)
    ratios = [alone / whole for alone, whole in zip(alone_s, whole_s, strict=True)]
    print(f"{options.backbone}, {extractor.spec.frame_size} px, window {options.window}, stride {options.stride}:")
    print(f"{clips} clips of a 340x256 H.264 file of {options.frames} frames, {torch.get_num_threads()} torch threads")
    print(f"end to end      {clips / statistics.median(whole_s):8.1f} clips/s")
    print(f"backbone alone  {clips / statistics.median(alone_s):8.1f} clips/s")
    print(f"ratio           {statistics.median(ratios):8.2f}  (rounds: {', '.join(f'{r:.2f}' for r in ratios)})")
    print(f"frames decoded / frames in the file: {extractor.count.decoded / extractor.count.in_files:.2f}")


if __name__ == "__main__":
    main()
