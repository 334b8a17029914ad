"""Each backbone alone, on clips that lie on the device: clips a second in the default batch size.

For two of them also what `torch.backends.cudnn.benchmark` brings to a video whose last batch is not full: padded, so
that all batches have one shape, beside the shorter batch without it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from helpers.extraction import make_extractor
from section import Measure, Options, seconds_of, synchronize
from torch import Tensor

from asl_extract.backbones import BACKBONES
from asl_extract.extractor import Extractor
from asl_kit.errors import AslKitError
from asl_kit.torch_utils.device import autocast, choose_precision, default_precision

FULL_BATCHES = 4
"""Full batches of the video whose last batch has a single clip."""


def make_clips(extractor: Extractor) -> Tensor:
    """Return a batch of clips on the device."""
    spec = extractor.spec
    shape = (extractor.batch_size, len(spec.mean), spec.clip_frames, spec.frame_size, spec.frame_size)
    return torch.randn(shape, device=extractor.device)


def forward(extractor: Extractor, clips: Tensor) -> None:
    """Run the backbone of an extractor as extraction does."""
    device = extractor.device
    with torch.inference_mode(), autocast(device, choose_precision(extractor.spec.precision, device)):
        extractor._backbone(clips)


def clips_per_second(extractor: Extractor, *, repeats: int) -> float:
    """Return the clips that the backbone of an extractor turns into features in a second."""
    clips = make_clips(extractor)
    return len(clips) / seconds_of(
        lambda: forward(extractor, clips), extractor.device, repeats=repeats, warmup=1 if repeats < 5 else 3
    )


def measure_cudnn_benchmark(extractor: Extractor, name: str, *, repeats: int) -> Iterator[Measure]:
    """Yield the seconds of a video with and without cuDNN's choice by measurement, and what the choice costs once."""
    clips, device = make_clips(extractor), extractor.device

    def video(last: Tensor) -> None:
        for batch in [clips] * FULL_BATCHES + [last]:
            forward(extractor, batch)

    plain_s = seconds_of(lambda: video(clips[:1]), device, repeats=repeats)
    torch.backends.cudnn.benchmark = True
    try:
        synchronize(device)
        started_s = time.perf_counter()
        forward(extractor, clips)
        synchronize(device)
        first_s = time.perf_counter() - started_s
        padded_s = seconds_of(lambda: video(clips), device, repeats=repeats)
    finally:
        torch.backends.cudnn.benchmark = False
    what = f"{name}, {FULL_BATCHES} batches and one clip"
    yield Measure(f"{what}: cudnn.benchmark and a padded last batch, of without", padded_s / plain_s)
    yield Measure(f"{what}: the first batch, where cuDNN measures", first_s, "s")


def measure(options: Options) -> Iterator[Measure]:
    """Yield the clips a second of every backbone."""
    names = ["x3d_xs", "r2plus1d_18"] if options.small else list(BACKBONES)
    searched = ["x3d_xs"] if options.small else ["r2plus1d_18", "slowfast_r50"]
    own = {"frame_size": 64, "batch_size": 1} if options.small else {}
    for name in names:
        try:
            extractor = make_extractor(
                backbone=name,
                weights="random",
                window_frames=64,
                stride_frames=8,
                precision=default_precision(options.device),
                device=str(options.device),
                **own,
            )
            repeats = 1 if options.small else 10
            rate = clips_per_second(extractor, repeats=repeats)
            if name in searched:
                yield from measure_cudnn_benchmark(extractor, name, repeats=repeats)
        except (AslKitError, torch.OutOfMemoryError) as fault:
            yield Measure(name, f"failed: {fault}")
            continue
        yield Measure(f"{name}, {extractor.spec.precision}, {extractor.batch_size} clips a batch", rate, "clips/s")
