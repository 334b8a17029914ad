"""Time to import features into a store, against copying the same files.

Both end on the disk: copying is `shutil.copy` and an fsync of each file. The source files have been
read before, so both take them from the page cache if they fit. Features are float32, the store's
float16. Each measurement is a process of its own; copying and importing take turns, since a shared disk's speed
drifts, and imports are compared with the median of the copies. `--folder` on a file system in
memory leaves the disk out.

    python tests/benchmarks/import_features.py [--sets 1000x500x2048 10000x50x128] [--workers 2]
        [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from asl_kit.feature_import import ImportSettings, import_features
from asl_kit.store import FeatureStore

ENDS = 1000
"""Videos at the begin and at the end whose time is compared."""


def make(folder: Path, videos: int, length: int, dimension: int) -> None:
    noise = np.random.default_rng(0).standard_normal((length + 7, dimension), dtype=np.float32)
    for number in range(videos):
        np.save(folder / f"video_{number:05d}.npy", noise[: length + number % 8])


def copy(source: Path, target: Path) -> dict[str, float]:
    target.mkdir()
    started_s = time.perf_counter()
    for path in sorted(source.iterdir()):
        descriptor = os.open(shutil.copy(path, target), os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    return {"seconds": time.perf_counter() - started_s}


def run_import(source: Path, target: Path, workers: int) -> dict[str, float]:
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started_s = time.perf_counter()
    settings = ImportSettings(window_frames=16, stride_frames=4, fps=30.0)
    summary = import_features(source, target, settings, workers=workers)
    seconds = time.perf_counter() - started_s
    assert not summary.failed
    attempts = FeatureStore.open(target).ledger.attempts()
    ended = [datetime.fromisoformat(attempt.time).timestamp() for attempt in attempts]
    ends = min(ENDS, len(ended) // 2)
    return {
        "seconds": seconds,
        "first_ms": (ended[ends] - ended[0]) / ends * 1e3,
        "last_ms": (ended[-1] - ended[-1 - ends]) / ends * 1e3,
        "before_mib": before_mib,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(what: str, source: Path, target: Path, workers: int) -> dict[str, float]:
    """Run one measurement in a new process; remove what it wrote."""
    command = [sys.executable, __file__, "--measure", what, str(source), str(target), "--workers", str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shutil.rmtree(target)
    os.sync()
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["1000x500x2048", "10000x50x128"], metavar="VIDEOSxTxD")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; by default the system's folder for such files")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, source, target = arguments.measure
        call = copy if what == "copy" else lambda a, b: run_import(a, b, arguments.workers)
        print(json.dumps(call(Path(source), Path(target))))
        return
    print(
        f"{'videos x T x D':<16} {'':<8} {'s':>8} {'MB/s':>7} {'of copying':>10} {'first':>8} {'last':>8} {'peak':>9}"
    )
    for name in arguments.sets:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            source = Path(folder) / "files"
            source.mkdir()
            make(source, *map(int, name.split("x")))
            size_mb = sum(path.stat().st_size for path in source.iterdir()) / 1e6
            os.sync()
            copies, imports = [], []
            for _ in range(arguments.rounds):
                copies.append(measure("copy", source, Path(folder) / "copy", 1))
                imports.append(measure("import", source, Path(folder) / "store", arguments.workers))
        copied_s = [found["seconds"] for found in copies]
        for seconds in copied_s:
            print(f"{name:<16} {'copy':<8} {seconds:8.2f} {size_mb / seconds:7.0f}")
        for found in imports:
            print(
                f"{name:<16} {'import':<8} {found['seconds']:8.2f} {size_mb / found['seconds']:7.0f}"
                f" {median(copied_s) / found['seconds']:9.2f}x {found['first_ms']:5.2f} ms {found['last_ms']:5.2f} ms"
                f" {found['peak_mib'] - found['before_mib']:5.0f} MiB"
            )


if __name__ == "__main__":
    main()
