"""Frames that are images: speed against OpenCV's imread in a loop, and memory by the number of frames.

Folder, tar and loop take turns in one process, each decoding with one thread. The memory is that of processes of their
own. With ``--wait-ms``, reading the bytes of an image takes that much longer, as on a network disk, for all three.

    python tests/benchmarks/image_frames.py [--frames 20000] [--size 456x256] [--kind jpg|png] [--wait-ms 1]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from asl_extract.decoders import image_files
from asl_extract.decoders.image_files import ImageSequence
from asl_extract.decoders.image_reader import ImageReader
from asl_extract.videos import find_videos
from asl_kit.store import FileIdentity

DISTINCT = 100
"""Different images; the others are copies of them."""


def make_images(folder: Path, count: int, *, width: int, height: int, kind: str) -> None:
    """Write smooth moving pictures with some noise: about the bytes per pixel of frames of a kitchen."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 256, (24, 48, 3), dtype=np.uint8), (width * 2, height * 2))
    encoded = []
    for number in range(DISTINCT):
        noise = rng.integers(0, 12, (height, width, 3), dtype=np.uint8)
        picture = coarse[number : number + height, 2 * number : 2 * number + width] // 2 + noise
        encoded.append(cv2.imencode(f".{kind}", picture)[1].tobytes())
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        (folder / f"frame_{number:010d}.{kind}").write_bytes(encoded[number % DISTINCT])


def read(path: Path) -> int:
    reader = ImageReader(ImageSequence(path, 25.0))
    frames = sum(len(block) for block in reader.blocks(16))
    reader.close()
    return frames


def loop(folder: Path, *, wait_s: float = 0.0) -> int:
    count = 0
    for path in sorted(folder.iterdir()):
        if wait_s:
            time.sleep(wait_s)
        count += cv2.imread(str(path)) is not None
    return count


def make_reading_wait(wait_s: float) -> None:
    read_bytes = image_files._read

    def read_late(*arguments: Any, **options: Any) -> bytearray:
        time.sleep(wait_s)
        return read_bytes(*arguments, **options)

    image_files._read = read_late


def time_of(function: object, path: Path) -> float:
    assert callable(function)
    started_s = time.perf_counter()
    function(path)
    return time.perf_counter() - started_s


def peak(path: Path, connection: object) -> None:
    connection.send((read(path), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))  # type: ignore[attr-defined]


def peak_mib(path: Path) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=peak, args=(path, there))
    process.start()
    _, mib = here.recv()
    process.join()
    return float(mib)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", default="456x256")
    parser.add_argument("--kind", choices=["jpg", "png"], default="jpg")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wait-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    wait_s = arguments.wait_ms / 1000
    if wait_s:
        make_reading_wait(wait_s)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        folders = {count: Path(temporary) / "frames" / f"v{count}" for count in (1_000, arguments.frames)}
        tars = {count: Path(temporary) / "tars" / f"v{count}.tar" for count in folders}
        (Path(temporary) / "tars").mkdir()
        for count, folder in folders.items():
            make_images(folder, count, width=width, height=height, kind=arguments.kind)
            with tarfile.open(tars[count], "w") as archive:
                archive.add(folder, ".")
        ways = {
            "imread": (partial(loop, wait_s=wait_s), folders[1_000]),
            "folder": (read, folders[1_000]),
            "tar": (read, tars[1_000]),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(arguments.rounds):
            for name, (function, path) in sorted(ways.items(), reverse=bool(turn % 2)):
                times[name].append(time_of(function, path))
        for name, seconds in times.items():
            ratio = float(np.median(np.divide(times["imread"], seconds)))
            print(f"{name}: {1_000 / min(seconds):.0f} frames/s at best, {ratio:.2f} of imread's speed (median)")
        count = arguments.frames
        print(f"{count} images, {width}x{height} {arguments.kind}:")
        print(f"  found in {time_of(lambda path: find_videos([path]), folders[count].parent):.2f} s")
        for name, path in (("folder", folders[count]), ("tar", tars[count])):
            opened_s = time_of(lambda path: ImageReader(ImageSequence(path, 25.0)).close(), path)
            print(f"  {name}: opened in {opened_s:.2f} s, identity in {time_of(FileIdentity.of, path):.2f} s")
        for name, paths in (("folder", folders), ("tar", tars)):
            print(
                f"  {name}: peak " + ", ".join(f"{peak_mib(path):.0f} MiB for {n} frames" for n, path in paths.items())
            )


if __name__ == "__main__":
    main()
