"""Inference split in its parts: many short videos together, and one long video beside ActionFormer's forward."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import train_step
import validation_speed
from section import Measure, Options, seconds_of, synchronize

from asl_kit.dataset.split import VideoItem
from asl_kit.grid import FeatureGrid


def measure(options: Options) -> Iterator[Measure]:
    """Yield milliseconds a video of each part; on a GPU, `candidates` includes the wait for the network."""
    device = options.device
    videos = 8 if options.small else 1000
    nothing = np.zeros((0, 2)), np.zeros((0, 1), np.int64)
    grid = FeatureGrid(0.5, 1.0, validation_speed.STEPS)
    items = [VideoItem(str(number), float(validation_speed.STEPS), grid, *nothing) for number in range(videos)]
    detector = validation_speed.make_detector(str(device), "float32")
    seconds = dict.fromkeys(validation_speed.PARTS, 0.0)
    validation_speed.timed_parts(seconds)
    detector.detect_videos(items[:8], validation_speed.DrawnFeatures())  # type: ignore[arg-type]
    seconds.update(dict.fromkeys(seconds, 0.0))
    started_s = time.perf_counter()
    detector.detect_videos(items, validation_speed.DrawnFeatures())  # type: ignore[arg-type]
    synchronize(device)
    what = f"{videos} videos of {validation_speed.STEPS} steps, {validation_speed.CLASSES} classes"
    for part, taken_s in {"in all": time.perf_counter() - started_s, **seconds}.items():
        yield Measure(f"{what}: {part}", 1e3 * taken_s / videos, "ms a video")

    if options.small:
        return
    (video,) = (sequence.features.to(device) for sequence in train_step.make_sequences([train_step.LONGEST]))
    works = {}
    for precision in ("float32", "bfloat16"):
        if options.actionformer:
            peer = train_step.Peer(options.actionformer, device, precision)
            works[f"ActionFormer's forward, {precision}"] = peer.inference(video.cpu())
        works[f"ours to detections, {precision}"] = train_step.our_inference(video, device, precision, whole=True)
    for name, work in works.items():
        taken_s = seconds_of(work, device, repeats=20, warmup=3)
        yield Measure(f"one video of {train_step.LONGEST} steps, {name}", 1e3 * taken_s, "ms")
