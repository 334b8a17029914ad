"""Decoding and preparing alone, against a loop over windows: ``python tests/benchmarks/extract_decode.py``.

- windows one by one: for each window, `decord.VideoReader.get_batch` of its frames, resized and normalised;
- once each: the pipeline with a backbone that does nothing, clips assembled in batches.

Both run in one process, and take turns. How long the loop takes depends on how far it must decode from a key
frame: by default there is one every 250 frames, as x264 and so most of the web's H.264 has it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import decord
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.support import write_video

from asl_extract.backbones import get_backbone
from asl_extract.clip_plan import ClipPlan
from asl_extract.decoding.events import DecodeSettings, decode_here
from asl_extract.frames import FramePreparer
from asl_extract.pipeline import FeaturePipeline, FrameCount


def nothing(clips: torch.Tensor) -> torch.Tensor:
    """Return one number a clip."""
    return clips[:, 0, 0, 0, 0].clone()[:, None]


def once_each(video: Path, settings: DecodeSettings, prepare: FramePreparer) -> tuple[float, int]:
    """Return the seconds that the pipeline takes without a backbone, and the number of clips."""
    pipeline = FeaturePipeline(
        backbone=nothing,  # type: ignore[arg-type]
        prepare=prepare,
        precision="float32",
        batch_size=8,
        count=FrameCount(),
    )
    started_s = time.perf_counter()
    ((_, result),) = pipeline.run(decode_here([("video", video)], settings))
    return time.perf_counter() - started_s, len(result.features)  # type: ignore[union-attr]


def windows_one_by_one(video: Path, settings: DecodeSettings, prepare: FramePreparer) -> float:
    """Return the seconds that the loop over windows takes."""
    started_s = time.perf_counter()
    reader = decord.VideoReader(str(video), ctx=decord.cpu(0), num_threads=1)
    plan = ClipPlan(
        frame_count=len(reader),
        fps=reader.get_avg_fps(),
        window_frames=settings.window_frames,
        stride_frames=settings.stride_frames,
        clip_frames=settings.clip_frames,
    )
    with torch.inference_mode():
        for index in range(plan.length):
            frames = plan.clips(index, index + 1)[0].tolist()
            nothing(prepare(reader.get_batch(frames).asnumpy())[None].permute(0, 4, 1, 2, 3))
    return time.perf_counter() - started_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="r3d_18", help="whose frames to prepare")
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--keyframes", type=int, default=250, help="frames from one key frame to the next")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    spec = get_backbone(options.backbone)
    settings = DecodeSettings(
        decoder="decord",
        threads=1,
        window_frames=options.window,
        stride_frames=options.stride,
        clip_frames=spec.clip_frames,
    )
    prepare = FramePreparer(rule=spec.resize, mean=spec.mean, std=spec.std, device=torch.device("cpu"))
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        made = write_video(Path(folder) / "made.mp4", frames=options.frames, fps=30, size=(340, 256))
        video = Path(folder) / "video.mp4"
        command = ["ffmpeg", "-v", "error", "-i", str(made), "-c:v", "libx264", "-g", str(options.keyframes)]
        subprocess.run([*command, str(video)], check=True)
        once_each(video, settings, prepare)
        for _ in range(options.rounds):
            ours_s, clips = once_each(video, settings, prepare)
            theirs_s = windows_one_by_one(video, settings, prepare)
            ratios.append(theirs_s / ours_s)
            print(f"{clips} clips: once each {ours_s:.2f} s, windows one by one {theirs_s:.2f} s")
    print(
        f"{options.frames} frames of 340x256, a key frame every {options.keyframes}, prepared for {spec.name}:", end=" "
    )
    print(f"ratio {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
