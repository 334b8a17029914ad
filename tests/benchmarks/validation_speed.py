"""Time validation of many short videos: ``python tests/benchmarks/validation_speed.py --before CHECKOUT``.

Videos of 192 steps with 512 dims, a network of width 64, 200 classes, random weights: nearly every score is above the
threshold, and every video has the maximum of 2,000 detections. Each checkout runs in a process of its own, in turns of
a few videos, so that other work on the machine meets both alike. Compared: every detection of both.

- ``--before CHECKOUT``: another checkout of asl-kit, for example ``git worktree add ../before COMMIT``;
- ``--rounding``: no times, but how far detections of some videos together, alone, and alone in float64 are apart;
- ``--busy``: another process keeps one core busy; times with ``--threads`` of more than 1 show who waits for whom.

Printed: milliseconds a video (median and fastest turn), and of which forward, candidates, suppression with voting.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import asl_kit.inference.detector as detector_module
from asl_kit.dataset.split import VideoItem
from asl_kit.detections.table import DetectionTables
from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member
from asl_kit.inference.detector import Detector
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.files import load_recipe
from asl_kit.torch_utils.device import choose_device, choose_precision

STEPS, DIMS, WIDTH, CLASSES = 192, 512, 64, 200
PARTS = {
    "forward": ("run_whole", "run_together"),
    "candidates": ("decode",),
    "suppression and voting": ("soft_nms", "vote", "suppress"),
}
COLUMNS = ("video", "start_s", "end_s", "score", "label")


@dataclass(frozen=True)
class DrawnFeatures:
    """Features drawn when they are read."""

    dims: int = DIMS

    def read(self, video_id: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the features of a video: (T, D)."""
        return np.random.default_rng(int(video_id)).standard_normal((STEPS, self.dims), dtype=np.float32)


def make_detector(device: str, precision: str) -> Detector:
    """Return a detector with random weights, all parts of which matter."""
    torch.manual_seed(0)
    recipe = load_recipe(None, [f"model.width={WIDTH}"])
    network = Localizer(recipe, Shape(feature_dims=(DIMS,), sequence_length=STEPS, levels=6), CLASSES).eval()
    for name, parameter in network.named_parameters():
        if name.endswith(("path.scale", "last.conv.weight")):
            torch.nn.init.normal_(parameter, std=0.2)
    chosen = choose_device(device)
    names = {"action": [str(label) for label in range(CLASSES)]}
    return Detector([Member(network.to(chosen))], names, recipe.inference, choose_precision(precision, chosen))


def timed_parts(seconds: dict[str, float]) -> None:
    """Make the detector's module add up the seconds of its parts; those it does not have are left out."""

    def timed(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def run(*arguments: Any, **options: Any) -> Any:
            started_s = time.perf_counter()
            result = work(*arguments, **options)
            seconds[part] += time.perf_counter() - started_s
            return result

        return run

    for part, names in PARTS.items():
        for name in names:
            if hasattr(detector_module, name):
                setattr(detector_module, name, timed(part, getattr(detector_module, name)))


def serve(options: argparse.Namespace) -> None:
    """Detect in videos that are asked for on stdin; answer with times, and write the detections."""
    torch.set_num_threads(options.threads)
    detector = make_detector(options.device, options.precision)
    seconds = dict.fromkeys(PARTS, 0.0)
    timed_parts(seconds)
    nothing: tuple[Any, Any] = (np.zeros((0, 2)), np.zeros((0, 1), np.int64))
    answers = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr
    for line in sys.stdin:
        first, last, path, together = json.loads(line)
        grid = FeatureGrid(0.5, 1.0, STEPS)
        items = [VideoItem(str(number), float(STEPS), grid, *nothing) for number in range(first, last)]
        seconds.update(dict.fromkeys(PARTS, 0.0))
        started_s = time.perf_counter()
        reader: Any = DrawnFeatures()
        turns = [items] if together else [[item] for item in items]
        tables = DetectionTables.join([detector.detect_videos(turn, reader) for turn in turns])
        taken = {"in all": time.perf_counter() - started_s} | seconds
        found = tables.by_vocabulary["action"]
        np.savez(path, **{name: getattr(found, name) for name in COLUMNS})
        print(
            json.dumps({part: 1e3 * taken_s / (last - first) for part, taken_s in taken.items()}),
            file=answers,
            flush=True,
        )


class Checkout:
    """A process that detects with the code of a checkout."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        folders = (root, *(root / name for name in ("extract", "train", "evaluate")))
        words = [sys.executable, __file__, "--serve", "--device", options.device, "--precision", options.precision]
        self._process = subprocess.Popen(
            [*words, "--threads", str(options.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        )

    def detect(self, first: int, last: int, path: Path, *, together: bool = True) -> dict[str, float]:
        """Return the milliseconds a video that videos ``[first, last)`` took, by part; asked for at once or singly."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([first, last, str(path), together]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Comparison:
    """How far the detections of two checkouts differ, over all turns."""

    detections: int = 0
    elsewhere: int = 0
    """Detections with another class, or times that differ by more than 1 ms, at the same place in order of score."""
    score: float = 0.0
    """Largest difference of scores at the same place."""
    time_s: float = 0.0
    """Largest difference of times below 1 ms."""

    def add(self, before: Path, after: Path) -> None:
        """Compare two files of detections."""
        first, second = (np.stack([np.load(path)[name].astype(float) for name in COLUMNS]) for path in (before, after))
        if not np.array_equal(first[0], second[0]):
            sys.exit("the numbers of detections differ")
        difference = np.abs(first - second)
        time_s = difference[1:3].max(0)
        other = (difference[4] > 0) | (time_s > 1e-3)
        self.detections += len(other)
        self.elsewhere += int(other.sum())
        self.score = max(self.score, difference[3].max())
        self.time_s = max(self.time_s, time_s[~other].max())

    def __str__(self) -> str:
        return (
            f"{self.detections} detections: largest difference of scores {self.score:.1e}, "
            f"of times {self.time_s:.1e} s; "
            f"in other places, as their scores are equal up to rounding: {self.elsewhere}"
        )


def compare_rounding(videos: int) -> None:
    """Print how far probabilities and detections together, alone, and alone in float64 are apart."""
    torch.set_num_threads(1)
    detector, wide = make_detector("cpu", "float32"), make_detector("cpu", "float32")
    wide._network.double()
    features = [DrawnFeatures().read(str(number)) for number in range(videos)]
    whole = detector.run(features)
    probabilities = {"together": whole.logits[whole.mask]}
    for name, own in {"alone": detector, "float64": wide}.items():
        outputs = [own.run([each]) for each in features]
        probabilities[name] = torch.cat([output.logits[output.mask] for output in outputs])
    nothing: tuple[Any, Any] = (np.zeros((0, 2)), np.zeros((0, 1), np.int64))
    items = [VideoItem(str(n), float(STEPS), FeatureGrid(0.5, 1.0, STEPS), *nothing) for n in range(videos)]
    reader: Any = DrawnFeatures()
    with tempfile.TemporaryDirectory() as folder:
        for name, own, turn in (("together", detector, videos), ("alone", detector, 1), ("float64", wide, 1)):
            turns = [items[first : first + turn] for first in range(0, videos, turn)]
            found = DetectionTables.join([own.detect_videos(each, reader) for each in turns]).by_vocabulary["action"]
            columns = {column: getattr(found, column) for column in COLUMNS}
            np.savez(Path(folder) / f"{name}.npz", **columns)
        for first, second in (("together", "alone"), ("together", "float64"), ("alone", "float64")):
            apart = probabilities[first].sigmoid() - probabilities[second].sigmoid()
            comparison = Comparison()
            comparison.add(Path(folder) / f"{first}.npz", Path(folder) / f"{second}.npz")
            print(f"{first} and {second}: probabilities {apart.abs().max():.1e} apart; {comparison}")


@contextmanager
def busy_core(wanted: bool) -> Iterator[None]:
    """Keep one core busy with another process."""
    process = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.terminate()
            process.join()


def spin() -> None:
    """Compute until killed."""
    while True:
        pass


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--turn", type=int, default=90, help="videos in a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounding", action="store_true")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve or options.rounding:
        serve(options) if options.serve else compare_rounding(18)
        return
    roots = {"this tree": Path(__file__).parents[2]}
    if options.before:
        roots = {"before": options.before} | roots
    checkouts = {name: Checkout(root, options) for name, root in roots.items()}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in roots}
    singly, together = Comparison(), Comparison()
    with tempfile.TemporaryDirectory() as folder, busy_core(options.busy):
        paths = {name: Path(folder) / f"{number}.npz" for number, name in enumerate(roots)}
        for name, checkout in checkouts.items():
            checkout.detect(0, 20, paths[name])  # warms up
            checkout.detect(0, 20, paths[name], together=False)
        singly.add(*(paths[name] for name in (*roots, *roots)[:2]))
        for first in range(0, options.videos, options.turn):
            for name, checkout in checkouts.items():
                taken[name].append(checkout.detect(first, min(first + options.turn, options.videos), paths[name]))
            together.add(*(paths[name] for name in (*roots, *roots)[:2]))
    for checkout in checkouts.values():
        checkout.close()

    machine = f"{options.device}, {options.precision}, {options.threads} threads" + options.busy * ", a core busy"
    table = Table(title=f"ms a video, {options.videos} videos of {STEPS} steps, {CLASSES} classes; {machine}")
    for column in ("", "median", "fastest", *PARTS):
        table.add_column(column, justify="left" if not column else "right")
    for name, turns in taken.items():
        medians = [statistics.median(turn[part] for turn in turns) for part in ("in all", *PARTS)]
        fastest = min(turn["in all"] for turn in turns)
        table.add_row(name, *(f"{each:.2f}" for each in (medians[0], fastest, *medians[1:])))
    Console(width=110).print(table)
    if options.before:
        ratio = statistics.median(
            after["in all"] / before["in all"] for before, after in zip(*taken.values(), strict=True)
        )
        print(f"this tree / before: {ratio:.3f}, the median over turns")
        print(f"asked for singly, {singly}")
        print(f"together, {together}")
        if singly.score or singly.elsewhere or together.score > 1e-4 or together.elsewhere > 1e-2 * together.detections:
            sys.exit("the detections differ")


if __name__ == "__main__":
    main()
