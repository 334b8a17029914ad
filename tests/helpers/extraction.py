"""Extractors and runs from settings given one by one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from asl_extract.extraction import ExtractionSummary, extract_videos
from asl_extract.extractor import Extractor
from asl_extract.settings import ExtractionSettings, RunOptions
from asl_kit.torch_utils.device import choose_device, default_precision


def make_extractor(
    *, device: str = "cpu", batch_size: int | None = None, decoder_threads: int = 1, **settings: Any
) -> Extractor:
    """Return an extractor; `settings` are those of `ExtractionSettings`."""
    chosen = ExtractionSettings(**settings)
    spec, _ = chosen.resolve(precision=default_precision(choose_device(device)))
    return Extractor(
        spec,
        weights=chosen.weights,
        flow_weights=chosen.flow_weights,
        device=device,
        batch_size=batch_size,
        decoder_threads=decoder_threads,
    )


def run_extraction(
    videos: list[Path],
    store: Path,
    *,
    annotations: Path | None = None,
    image_fps: float | None = None,
    **options: Any,
) -> ExtractionSummary:
    """Extract videos; `options` are those of `ExtractionSettings` and `RunOptions`."""
    own = {field.name for field in fields(RunOptions)}
    run = RunOptions(**{name: options.pop(name) for name in list(options) if name in own})
    settings = ExtractionSettings(**options)
    return extract_videos(videos, store, settings, run, annotations=annotations, image_fps=image_fps)
