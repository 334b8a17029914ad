"""Extraction end to end beside the backbone alone, for two sizes of video and numbers of decoding processes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from extract_throughput import backbone_alone, end_to_end
from helpers.extraction import make_extractor
from helpers.support import write_video
from section import Measure, Options

WORKERS = (1, 2, 4, 8, 15)
TARGET_RATIO = 0.85
"""Smallest share of the backbone's own speed that extraction must reach on a GPU, with the workers that suit."""


def measure(options: Options) -> Iterator[Measure]:
    """Yield clips a second, and the best ratio to the backbone alone, of each backbone and size."""
    cores = len(os.sched_getaffinity(0))
    workers = [1] if options.small else sorted({min(number, cores - 1) for number in WORKERS})
    sizes = {"340x256": (340, 256)} if options.small else {"340x256": (340, 256), "720p": (1280, 720)}
    videos = {}
    for name, size in sizes.items():
        first = write_video(options.scratch / f"{name}-0.mp4", frames=40 if options.small else 600, fps=30, size=size)
        videos[name] = [
            first,
            *(first.with_stem(f"{name}-{number}") for number in range(1, 1 if options.small else 32)),
        ]
        for link in videos[name][1:]:
            link.hardlink_to(first)
    for backbone in ["x3d_xs"] if options.small else ["r2plus1d_18", "slowfast_r50"]:
        extractor = make_extractor(
            backbone=backbone,
            weights="random",
            window_frames=32,
            stride_frames=8,
            frame_size=64 if options.small else None,
            precision="float32" if options.device.type == "cpu" else "bfloat16",
            device=str(options.device),
        )
        for name, files in videos.items():
            best = 0.0
            for number in workers:
                seconds, clips = end_to_end(extractor, files, workers=number)
                alone_s = min(backbone_alone(extractor, clips) for _ in range(2))
                yield Measure(f"{backbone}, {name}, {number} workers", sum(clips) / seconds, "clips/s")
                best = max(best, alone_s / seconds)
            yield Measure(f"{backbone}, {name}, backbone alone", sum(clips) / alone_s, "clips/s")
            target = TARGET_RATIO if options.device.type == "cuda" and name == "340x256" else None
            yield Measure(f"{backbone}, {name}, best end to end over backbone alone", best, at_least=target)
