"""What it costs to record and compare the files that features are made from.

First a rerun over many stored videos: what `asl-kit extract` does for each before it skips it. Then the share of an
extraction that goes into the identities of its files. The files are in the page cache, where holes of sparse files cost
what written data costs. With ``--cold`` every byte is written to the disk and dropped from the cache first: with the
directories and inodes if the system lets this process drop them (root), else the content alone.

    python tests/benchmarks/source_identity.py [--files 10000] [--size-kib 64] [--videos 3] [--frames 1000]
    python tests/benchmarks/source_identity.py --cold --size-kib 1800 --folder DISK  # writes 18 GB
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.extraction import run_extraction
from helpers.support import add_video, make_spec, write_video

from asl_extract.videos import find_videos
from asl_kit.store import FeatureStore, FileIdentity


def rerun(folder: Path, files: int, size_bytes: int, *, cold: bool) -> None:
    """Print the time per stored video of a rerun, and of its parts."""
    videos = folder / "many"
    videos.mkdir()
    store = FeatureStore.open_or_create(folder / "many.zarr", make_spec())
    features = np.zeros((10, 4), np.float32)
    for number in range(files):
        path = videos / f"v{number:05d}.mp4"
        path.write_bytes(os.urandom(size_bytes if cold else 64))
        os.truncate(path, size_bytes)
        add_video(store, path.stem, features, source=FileIdentity.of(path))
    cache = drop_cache(folder) if cold else "in the page cache"
    started_s = time.perf_counter()
    found = find_videos([videos])
    found_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    states = {store.check_source(file.video_id, partial(FileIdentity.of, file.path)).state for file in found}
    checked_s = time.perf_counter() - started_s
    assert states == {"same"}
    if cold:
        drop_cache(folder)
    started_s = time.perf_counter()
    for file in found:
        FileIdentity.of(file.path)
    identified_s = time.perf_counter() - started_s
    print(f"{files} stored videos of {size_bytes / 1024:.0f} KiB, {cache}:")
    print(f"  {checked_s / files * 1e3:.3f} ms a video to compare,")
    print(f"  {identified_s / files * 1e3:.3f} ms for the identity of its file alone,")
    print(f"  {found_s / files * 1e3:.3f} ms to find it in its folder")


def drop_cache(folder: Path) -> str:
    """Write what is below a folder to the disk and drop it from the page cache; return what was dropped."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    except OSError:
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return "content not in the page cache"
    return "nothing in the page cache"


def extraction(folder: Path, videos: int, frames: int) -> None:
    """Print the share of the identities in an extraction with a small and fast backbone."""
    paths = [write_video(folder / f"{number}.mp4", frames=frames, size=(320, 240)) for number in range(videos)]
    settings = {"backbone": "x3d_xs", "weights": "random", "window_frames": 16, "stride_frames": 16, "device": "cpu"}
    summary = run_extraction(paths, folder / "few.zarr", workers=0, **settings)
    started_s = time.perf_counter()
    for path in paths:
        FileIdentity.of(path)
    seconds = time.perf_counter() - started_s
    size_kib = sum(path.stat().st_size for path in paths) / videos / 1024
    print(f"{videos} videos of {frames} frames, {size_kib:.0f} KiB: {summary.seconds:.2f} s to extract,")
    print(f"  {seconds * 1e3:.2f} ms of it for identities: {seconds / summary.seconds:.4%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--size-kib", type=int, default=64)
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--cold", action="store_true", help="with nothing in the page cache")
    parser.add_argument("--folder", type=Path, help="where to write the files; default: the system's temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rerun(Path(folder), arguments.files, arguments.size_kib * 1024, cold=arguments.cold)
        extraction(Path(folder), arguments.videos, arguments.frames)


if __name__ == "__main__":
    main()
