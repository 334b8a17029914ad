"""Memory while a long video is extracted: ``python tests/benchmarks/extract_memory.py --hours 3``.

A short file is repeated by ``ffmpeg -stream_loop`` to the length asked for, and extracted into a store,
with the real backbone or (``--null``) with one that returns zeros, which shows all memory but the network's
and takes minutes. Every half second the process's memory is read from /proc: its own (anonymous and
shared), which nobody can take back, and pages of files that it has mapped, which the system drops at need.
Printed: what the loaded model takes, and the highest over it in each fifth of the work.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.extraction import make_extractor
from helpers.support import write_video

from asl_extract.extractor import ExtractedVideo
from asl_kit.store import FeatureStore, SourceVideo

PARTS = 5


def memory_mb() -> tuple[float, float]:
    """Return this process's own memory, and its mapped files'."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    own, shared, mapped = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssShmem", "RssFile"))
    return own + shared, mapped


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="x3d_xs")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--window", type=int)
    parser.add_argument("--stride", type=int)
    parser.add_argument("--decoder", default="pyav")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--null", action="store_true", help="a backbone that returns zeros")
    options = parser.parse_args()
    extractor = make_extractor(
        backbone=options.backbone,
        weights="random",
        window_frames=options.window,
        stride_frames=options.stride,
        decoder=options.decoder,
        device="cpu",
    )
    dimension = extractor.spec.feature_dim
    if options.null:
        extractor._backbone = lambda clips: torch.zeros(len(clips), dimension)  # type: ignore[assignment]
    samples: list[tuple[float, float, float]] = []
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.5):
            samples.append((time.perf_counter(), *memory_mb()))

    with tempfile.TemporaryDirectory() as folder:
        short = write_video(Path(folder) / "short.mp4", frames=900, fps=30, size=(160, 120))
        video = Path(folder) / "long.mp4"
        command = ["ffmpeg", "-v", "error", "-stream_loop", str(round(options.hours * 120) - 1), "-i", str(short)]
        subprocess.run([*command, "-c", "copy", str(video)], check=True)
        for _, warm in extractor.extract_all([("short", short)]):
            assert isinstance(warm, ExtractedVideo), warm
        store = FeatureStore.open_or_create(Path(folder) / "store", extractor.spec)
        loaded_mb, _ = memory_mb()
        watcher = threading.Thread(target=watch, daemon=True)
        started_s = time.perf_counter()
        watcher.start()
        for video_id, result in extractor.extract_all(
            [("long", video)], workers=options.workers, folder=store.path / "tmp"
        ):
            assert isinstance(result, ExtractedVideo), result
            extracted_s = time.perf_counter() - started_s
            source = SourceVideo(video_id, result.grid, result.duration_s, result.fps, result.frames)
            store.write(source, result.features)
            clips, frames = result.features.shape[0], result.frames
        finished.set()
        watcher.join()
    print(f"{frames} frames, {clips} features of {dimension} values, {extracted_s:.0f} s and the store; {options}")
    print(f"model loaded, one short video done: {loaded_mb:.0f} MB; above that:")
    stages = [
        (extracted_s * part / PARTS, extracted_s * (part + 1) / PARTS, f"part {part + 1}") for part in range(PARTS)
    ]
    for start_s, stop_s, name in [*stages, (extracted_s, float("inf"), "writing to the store")]:
        own = [mb for at_s, mb, _ in samples if start_s <= at_s - started_s < stop_s]
        mapped = [mb for at_s, _, mb in samples if start_s <= at_s - started_s < stop_s]
        if own:
            print(f"{name:22} own memory {max(own) - loaded_mb:+7.0f} MB, mapped files {max(mapped):6.0f} MB")


if __name__ == "__main__":
    main()
