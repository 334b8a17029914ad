"""How close extraction comes to the backbone alone, in one run: ``python tests/benchmarks/extract_throughput.py``.

Rounds of both alternate, so that other work on the machine meets both alike:

- end to end: video files, decoded, prepared, their windows through the backbone; once for each number of
  decoding processes in ``--workers`` (0: the main process decodes). Starting processes is part of the time; they import
  this file, which imports PyTorch only where it is used, as `asl-kit` does;
- backbone alone: the same number of clips in the same batches, resident on the device.

Printed: clips per second of each, their ratio (1.00: decoding and preparing cost nothing), and
frames decoded divided by frames in the files.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asl_extract.extractor import Extractor


def backbone_alone(extractor: Extractor, clips_of_videos: list[int]) -> float:
    """Return the seconds that the backbone takes for these clips, which lie on the device."""
    import torch

    from asl_kit.torch_utils.device import autocast, choose_precision

    spec, device = extractor.spec, extractor.device
    batch = torch.randn(extractor.batch_size, spec.clip_frames, spec.frame_size, spec.frame_size, len(spec.mean))
    batch = batch.to(device).permute(0, 4, 1, 2, 3)
    # Batches as the pipeline makes them: of one video each on a CPU, full ones on a GPU.
    totals = clips_of_videos if device.type == "cpu" else [sum(clips_of_videos)]
    started_s = time.perf_counter()
    with torch.inference_mode(), autocast(device, choose_precision(spec.precision, device)):
        for total in totals:
            for start in range(0, total, extractor.batch_size):
                features = extractor._backbone(batch[: total - start])
        features.float().cpu()
    return time.perf_counter() - started_s


def end_to_end(extractor: Extractor, videos: list[Path], *, workers: int) -> tuple[float, list[int]]:
    """Return the seconds that extraction takes, and the clips of each video."""
    from asl_extract.extractor import ExtractedVideo

    started_s = time.perf_counter()
    results = [
        result for _, result in extractor.extract_all([(video.stem, video) for video in videos], workers=workers)
    ]
    seconds = time.perf_counter() - started_s
    return seconds, [len(result.features) for result in results if isinstance(result, ExtractedVideo)]


def main() -> None:
    """Measure and print."""
    import torch

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from helpers.extraction import make_extractor
    from helpers.support import write_video

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="x3d_xs")
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--frames", type=int, default=300, help="in each video")
    parser.add_argument("--size", type=int, help="input size of the backbone")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--workers", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision")
    parser.add_argument("--decoder", default="pyav")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="threads of torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    extractor = make_extractor(
        backbone=options.backbone,
        weights="random",
        window_frames=options.window,
        stride_frames=options.stride,
        frame_size=options.size,
        precision=options.precision,
        batch_size=options.batch_size,
        decoder=options.decoder,
        device=options.device,
    )
    with tempfile.TemporaryDirectory() as folder:
        videos = [
            write_video(Path(folder) / f"{index}.mp4", frames=options.frames, fps=30, size=(340, 256))
            for index in range(options.videos)
        ]
        _, clips = end_to_end(extractor, videos, workers=0)
        backbone_alone(extractor, clips)
        alone_s: list[float] = []
        whole_s: dict[int, list[float]] = {workers: [] for workers in options.workers}
        ratios: dict[int, list[float]] = {workers: [] for workers in options.workers}
        for _ in range(options.rounds):
            for workers in options.workers:
                before_s = backbone_alone(extractor, clips)
                seconds, _ = end_to_end(extractor, videos, workers=workers)
                after_s = backbone_alone(extractor, clips)
                alone_s += [before_s, after_s]
                whole_s[workers].append(seconds)
                ratios[workers].append((before_s + after_s) / 2 / seconds)
    spec = extractor.spec
    print(f"{spec.backbone}, {spec.frame_size} px, window {spec.window_frames}, stride {spec.stride_frames},", end=" ")
    print(f"{spec.precision} on {extractor.device}, {extractor.batch_size} clips a batch, {spec.decoder}")
    print(f"{sum(clips)} clips of {len(videos)} 340x256 H.264 files of {options.frames} frames,", end=" ")
    print(f"{torch.get_num_threads()} torch threads")
    print(f"backbone alone         {sum(clips) / statistics.median(alone_s):8.1f} clips/s")
    for workers in options.workers:
        rounds = ", ".join(f"{ratio:.2f}" for ratio in ratios[workers])
        rate = sum(clips) / statistics.median(whole_s[workers])
        print(f"end to end, {workers} workers  {rate:8.1f} clips/s, ratio", end=" ")
        print(f"{statistics.median(ratios[workers]):.2f}  (rounds: {rounds})")
    print(f"frames decoded / frames in the files: {extractor.count.decoded / extractor.count.in_files:.2f}")


if __name__ == "__main__":
    main()
