"""Many short videos: does the run slow down as the store grows? ``python tests/benchmarks/extract_many.py``.

One-second videos from a decoder that hands out black frames, through a backbone that returns zeros, into
a real store. Printed: videos per second in the first and in the last thousand, and the time to open the
store, to look a video up, and to start a second run that finds all of them done.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.extraction import make_extractor

from asl_extract import decoders
from asl_extract.executors.results import VideoResult
from asl_extract.executors.worker import Worker
from asl_extract.extraction import ExtractionSummary
from asl_extract.settings import RunOptions
from asl_extract.videos import VideoFile
from asl_kit.store import FeatureStore


class BlackFrames:
    """A second of black."""

    fps, width, height, frame_count, display_s = 30.0, 32, 32, 30, None

    def blocks(self, max_frames: int) -> Iterator[np.ndarray]:
        """Yield 30 frames."""
        for start in range(0, self.frame_count, max_frames):
            yield np.zeros((min(max_frames, self.frame_count - start), self.height, self.width, 3), np.uint8)

    def close(self) -> None:
        """Do nothing."""


class Callbacks:
    """Count results, and note when videos were done."""

    def __init__(self, summary: ExtractionSummary, done_s: list[float]) -> None:
        self.summary = summary
        self.done_s = done_s

    def on_result(self, result: VideoResult) -> None:
        """Take the result of a video."""
        self.summary.add(result)
        if result.status == "done":
            self.done_s.append(time.perf_counter())

    def on_progress(self, videos: float, note: str) -> None:
        """Do nothing."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--folder", type=Path, help="where the store is made; the system's folder for temporary files")
    options = parser.parse_args()
    module = types.ModuleType("black_frames")
    module.open_reader = lambda path, *, threads, device: BlackFrames()  # type: ignore[attr-defined]
    sys.modules["black_frames"] = module
    decoders.DECODERS["black"] = "black_frames"
    extractor = make_extractor(
        backbone="x3d_xs", weights="random", window_frames=16, stride_frames=4, frame_size=32, device="cpu"
    )
    extractor.spec = extractor.spec.model_copy(update={"decoder": "black 1", "feature_dim": options.dimension})
    extractor._backbone = lambda clips: torch.zeros(len(clips), options.dimension)  # type: ignore[assignment]
    files = [VideoFile(f"video {number:06}", Path(f"{number}.mp4")) for number in range(options.videos)]
    part = min(1000, options.videos // 2)
    done_s: list[float] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store = FeatureStore.open_or_create(Path(folder) / "store", extractor.spec)
        for again in (False, True):
            started_s = time.perf_counter()
            store = FeatureStore.open_or_create(Path(folder) / "store", extractor.spec)
            opened_s = time.perf_counter() - started_s
            summary = ExtractionSummary(store=str(store.path))

            callbacks = Callbacks(summary, done_s)
            Worker(extractor, store, RunOptions(on_error="stop", workers=0), callbacks).process(files)
            took_s = time.perf_counter() - started_s
            print(
                f"{'again' if again else 'first'}: {len(summary.done)} done, {len(summary.skipped)} in the store,",
                end=" ",
            )
            print(f"{took_s:.1f} s, of which opening the store {opened_s:.3f} s")
        started_s = time.perf_counter()
        FeatureStore.open(store.path).read(files[-1].video_id)
        print(f"open and read the last video: {time.perf_counter() - started_s:.3f} s")
    first, last = (part / (times[-1] - times[0]) for times in (done_s[:part], done_s[-part:]))
    print(f"videos/s in the first {part}: {first:.0f}, in the last {part}: {last:.0f}, ratio {last / first:.2f}")


if __name__ == "__main__":
    main()
