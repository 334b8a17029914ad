"""Time to read a store's features, against np.load of the same arrays and against plain Zarr.

400 arrays of (200..1500, 2048) float16, all in the page cache. Each reader
sees every array once a round; the best of the rounds counts.

    python tests/benchmarks/store_read.py [--arrays 400] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore, SourceVideo
from asl_kit.store.spec import ExtractionSpec

DIMENSION = 2048


def fill(folder: Path, arrays: int) -> tuple[FeatureStore, list[str]]:
    spec = ExtractionSpec(
        backbone="random", weights="random", feature_dim=DIMENSION, window_frames=16, stride_frames=4, clip_frames=16
    )
    store = FeatureStore.open_or_create(folder / "store", spec)
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((1500, DIMENSION), dtype=np.float32).astype(np.float16)
    ids = [f"video_{number:04d}" for number in range(arrays)]
    started_s = time.perf_counter()
    for video_id in ids:
        features = noise[: generator.integers(200, 1501)]
        grid = FeatureGrid.from_windows(fps=30.0, window_frames=16, stride_frames=4, length=len(features))
        store.write(SourceVideo(video_id, grid, grid.end_s, fps=30.0, frames=4 * len(features)), features)
    print(f"FeatureStore.write  {(time.perf_counter() - started_s) / arrays * 1e3:8.2f} ms a video")
    for video_id in ids:
        np.save(folder / f"{video_id}.npy", store.read(video_id))
    return store, ids


def best_s(read: Callable[[str], object], ids: list[str], rounds: int) -> float:
    times_s = []
    for _ in range(rounds):
        started_s = time.perf_counter()
        for video_id in ids:
            read(video_id)
        times_s.append(time.perf_counter() - started_s)
    return min(times_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arrays", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, ids = fill(folder, arguments.arrays)
        group = zarr.open_group(store.path, mode="r")["videos"]
        readers: dict[str, Callable[[str], object]] = {
            "np.load": lambda video_id: np.load(folder / f"{video_id}.npy"),
            "FeatureStore.read": store.read,
            "zarr group[id][:]": lambda video_id: group[video_id][:],
        }
        times_s = {label: best_s(read, ids, arguments.rounds) for label, read in readers.items()}
    for label, time_s in times_s.items():
        print(f"{label:<18} {time_s:8.3f} s   {time_s / times_s['np.load']:6.2f} x np.load")


if __name__ == "__main__":
    main()
