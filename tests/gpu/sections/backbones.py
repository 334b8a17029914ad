"""Each backbone alone, on clips that lie on the device: clips a second in the default batch size."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from helpers.extraction import make_extractor
from section import Measure, Options, seconds_of

from asl_extract.backbones import BACKBONES
from asl_extract.extractor import Extractor
from asl_kit.errors import AslKitError
from asl_kit.torch_utils.device import autocast, choose_precision, default_precision


def clips_per_second(extractor: Extractor, *, repeats: int) -> float:
    """Return the clips that the backbone of an extractor turns into features in a second."""
    spec, device = extractor.spec, extractor.device
    shape = (extractor.batch_size, len(spec.mean), spec.clip_frames, spec.frame_size, spec.frame_size)
    clips = torch.randn(shape, device=device)

    def forward() -> None:
        with torch.inference_mode(), autocast(device, choose_precision(spec.precision, device)):
            extractor._backbone(clips)

    return len(clips) / seconds_of(forward, device, repeats=repeats, warmup=1 if repeats < 5 else 3)


def measure(options: Options) -> Iterator[Measure]:
    """Yield the clips a second of every backbone."""
    names = ["x3d_xs", "r2plus1d_18"] if options.small else list(BACKBONES)
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
            rate = clips_per_second(extractor, repeats=1 if options.small else 10)
        except (AslKitError, torch.OutOfMemoryError) as fault:
            yield Measure(name, f"failed: {fault}")
            continue
        yield Measure(f"{name}, {extractor.spec.precision}, {extractor.batch_size} clips a batch", rate, "clips/s")
