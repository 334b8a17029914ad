"""A long video through `asl-kit predict`, against extraction alone: ``python tests/benchmarks/predict_long.py``.

A short 1280x720 file is repeated by ``ffmpeg -stream_loop`` to the length asked for (two hours). A checkpoint of random
weights, for features of ``--backbone``, finds actions in it: `asl-kit predict`, on a CPU, in a process of its own.
Every half second the memory of that process and of those that it started is read from /proc: their own (anonymous
and shared), and pages of files that they have mapped, which the system drops at need.

Printed: frames per second of `predict` and of `asl-kit extract`: rounds of both alternate, on a part of
``--part-minutes``, so that other work on the machine meets both alike; starting and loading the model are part of the
time of both. Then, of the whole, the highest memory of both kinds in each fifth of the time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.extraction import make_extractor
from helpers.processes import descendants_of
from helpers.support import write_model, write_video

FIFTHS = 5
FPS = 30


def memory_mb(pid: int) -> tuple[float, float]:
    """Return the memory of a process and its descendants: their own, and mapped files."""
    own = mapped = 0.0
    for one in [pid, *descendants_of(pid)]:
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = dict(line.split(":", 1) for line in lines)
        if "RssAnon" in fields:  # a process that ends has none
            own += sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1024
            mapped += int(fields["RssFile"].split()[0]) / 1024
    return own, mapped


def run(*arguments: object, watch: bool = False) -> tuple[float, list[tuple[float, float, float]], float]:
    """Run ``asl-kit``; return its seconds, samples of (second, own MB, mapped MB), and its peak in MB."""
    samples: list[tuple[float, float, float]] = []
    finished = threading.Event()
    started_s = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "asl_kit", *map(str, arguments)], stdout=subprocess.DEVNULL)

    def sample() -> None:
        while not finished.wait(0.5):
            samples.append((time.perf_counter() - started_s, *memory_mb(process.pid)))

    watcher = threading.Thread(target=sample, daemon=True)
    if watch:
        watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started_s
    finished.set()
    if watch:
        watcher.join()
    if status:
        raise SystemExit(f"asl-kit {arguments[0]} failed")
    return seconds, samples, usage.ru_maxrss / 1024


def repeat(short: Path, video: Path, times: int) -> None:
    """Write a file that shows another so many times."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-stream_loop",
        str(times - 1),
        "-i",
        str(short),
        "-c",
        "copy",
        str(video),
    ]
    subprocess.run(command, check=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument(
        "--part-minutes", type=float, default=2.0, help="of the rounds that compare speeds; 0: the whole"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="x3d_xs")
    parser.add_argument("--stride", type=int, help="default: the backbone's")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--decoder", default="pyav")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--width", type=int, default=512, help="channels of the network that detects")
    options = parser.parse_args()
    spec = make_extractor(
        backbone=options.backbone, weights="random", stride_frames=options.stride, decoder=options.decoder, device="cpu"
    ).spec
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short = write_video(folder / "short.mp4", frames=10 * FPS, fps=FPS, size=tuple(options.size))
        repeat(short, folder / "long.mp4", round(options.minutes * 6))
        model = write_model(
            folder / "model.ckpt",
            spec,
            classes=[f"class {number}" for number in range(20)],
            width=options.width,
            attention_heads=4,
            attention_window=19,
            stem_blocks=2,
        )
        shared = ("--device", "cpu", "--workers", options.workers)

        def predict(video: Path, *, watch: bool = False) -> tuple[float, list[tuple[float, float, float]], float]:
            return run("predict", video, "--checkpoint", model, "-o", folder / "out.json", *shared, watch=watch)

        def extract(video: Path, number: int) -> float:
            settings = ("--backbone", options.backbone, "--weights", "random", "--decoder", options.decoder)
            stride = ("--stride", spec.stride_frames)
            return run("extract", video, "-o", folder / f"store {number}", *settings, *stride, *shared)[0]

        part = folder / "long.mp4"
        if options.part_minutes and options.part_minutes < options.minutes:
            part = folder / "part.mp4"
            repeat(short, part, round(options.part_minutes * 6))
        frames = round(min(options.part_minutes or options.minutes, options.minutes) * 60 * FPS)
        seconds: dict[str, list[float]] = {"predict": [], "extract": []}
        for number in range(options.rounds):
            seconds["extract"].append(extract(part, number))
            seconds["predict"].append(predict(part)[0])
        ratios = [one / other for one, other in zip(seconds["extract"], seconds["predict"], strict=True)]
        print(f"{options}; stride {spec.stride_frames}")
        for command, values in seconds.items():
            print(f"{command}, {frames} frames: {frames / statistics.median(values):.0f} frames/s", end=" ")
            print(f"({', '.join(f'{value:.1f}' for value in values)} s)")
        print(f"predict / extract: {statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})")

        whole_s, samples, peak_mb = predict(folder / "long.mp4", watch=True)
    long_frames = round(options.minutes * 60 * FPS)
    print(
        f"predict, {long_frames} frames: {whole_s:.0f} s, {long_frames / whole_s:.0f} frames/s; peak {peak_mb:.0f} MB"
    )
    for fifth in range(FIFTHS):
        start_s, stop_s = whole_s * fifth / FIFTHS, whole_s * (fifth + 1) / FIFTHS
        of_part = [(own, mapped) for at_s, own, mapped in samples if start_s <= at_s < stop_s]
        if of_part:
            own, mapped = (max(column) for column in zip(*of_part, strict=True))
            print(f"fifth {fifth + 1}: own memory {own:6.0f} MB, mapped files {mapped:6.0f} MB")


if __name__ == "__main__":
    main()
