"""Extractions that are killed at random moments: is anything lost? ``python tests/benchmarks/extract_kills.py``.

Small real videos, a third of them as folders and a third as tars of images, are extracted once without disturbance,
by one process: the reference. Then, for each way
to extract, ``asl-kit extract`` processes on a new store are killed with signal 9 at moments drawn uniformly
from the start of the work (a first video is open) to its estimated end: the run itself, or a process that
works for it. Up to three kills hit the same store, one after the other; what a killed run has left is gone on
with, and a run that lives on is left to. In the end the same command is run until it succeeds, with
``--retry-failed`` only where a decoder that was killed has cost a video, as the run itself says.

Checked after each kill of a run: no process of it and no shared memory is left. Checked in the end:
``asl-kit store verify``; each array is that of the reference, bit for bit; what was complete at a kill has not
been touched since; the ledger names each video as done, once, and as failed only where a kill explains it;
nothing temporary is left. Kills that came too late, or found nobody to kill, are counted apart and made up for.
Needs Linux. Exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.processes import (
    ENVIRONMENT,
    TwoNodes,
    assert_same_store,
    descendants_of,
    is_running,
    open_files,
    shared_memory,
    start_asl_kit,
    wait_until,
    workers_of,
)
from helpers.support import make_images, write_video
from rich.console import Console
from rich.table import Table

from asl_kit.store import FeatureStore

SETTINGS = ["--backbone", "x3d_xs", "--weights", "random", "--window", "16", "--stride", "4", "--size", "48"]
SETTINGS += ["--image-fps", "25"]
RUN, DECODER, ACTOR, COORDINATOR, NODE = (
    "the run",
    "a decoder",
    "a Ray actor",
    "the Ray actor that hands out",
    "a Ray node",
)
MODES: dict[str, tuple[list[str], list[str]]] = {
    "single": (["--device", "cpu"], [RUN]),
    "workers": (["--device", "cpu", "--workers", "2"], [RUN, DECODER]),
    "ray": (["--ray", "ADDRESS"], [RUN, ACTOR, NODE, COORDINATOR]),
}
GONE_S = 10.0
EXPLAINED = ("SIGKILL", "workers were lost")


@dataclass
class Kill:
    """A kill, and what came of the store that it hit."""

    mode: str
    store: str
    victim: str
    moment_s: float
    estimate_s: float
    complete: int
    in_hand: int
    gone_s: float | None = None
    is_complete: bool = False
    is_identical: bool = False


@dataclass
class Bench:
    """What all runs have in common."""

    folder: Path
    frames: dict[str, int]
    environment: Mapping[str, str]
    random: Random
    console: Console
    work_s: dict[str, float] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def stored(self, store: Path) -> dict[str, int]:
        """Return for each complete video the time of its array's last change."""
        folders = (store / "videos" / video_id for video_id in self.frames)
        return {path.name: path.stat().st_ctime_ns for path in folders if path.is_dir()}

    def share_missing(self, store: Path) -> float:
        """Return how much of the work is to be done."""
        missing = self.frames.keys() - self.stored(store).keys()
        return sum(self.frames[video_id] for video_id in missing) / sum(self.frames.values())


class Run:
    """An extraction in a process group of its own."""

    def __init__(self, bench: Bench, store: Path, options: list[str], cluster: TwoNodes | None) -> None:
        self.store = store
        self._videos = bench.folder / "videos"
        self._cluster = cluster
        self._log = store.with_suffix(".log")
        with self._log.open("a") as log:
            start = log.tell()
            self.process = start_asl_kit(
                *("extract", self._videos, "-o", store, *SETTINGS, "--dtype", "float32", *options),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=bench.environment,
                start_new_session=True,
            )
        self._log_start = start

    def printed(self) -> str:
        """Return what it has printed."""
        return self._log.read_text()[self._log_start :]

    def helpers(self) -> dict[int, str]:
        """Return the processes that work for it, with their command lines."""
        found = descendants_of(self.process.pid)
        if self._cluster is not None:
            below = descendants_of(self._cluster.pid)
            found |= {pid: command for pid, command in below.items() if command.startswith("ray::_")}
        return found

    def in_hand(self) -> set[str]:
        """Return the videos that are open."""
        return {name for pid in [self.process.pid, *self.helpers()] for name in open_files(pid, self._videos)}

    def wait_for_work(self) -> None:
        """Wait until a first video is open, or all is over."""
        wait_until(lambda: self.process.poll() is not None or self.in_hand())

    def find(self, victim: str, random: Random) -> int | None:
        """Return the id of a process to kill; None if there is none."""
        if victim == RUN:
            return self.process.pid
        if victim == DECODER:
            found = workers_of(self.process.pid)
        else:
            name = {ACTOR: "ray::_RayWorker", COORDINATOR: "ray::_RayCoordinator"}[victim]
            found = [pid for pid, command in self.helpers().items() if command.startswith(name)]
        return random.choice(found) if found else None

    def end(self) -> None:
        """Kill whatever is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Story:
    """A store, the kills that hit it, and its completion."""

    def __init__(self, bench: Bench, mode: str, number: int, cluster: TwoNodes | None) -> None:
        self.bench = bench
        self.mode = mode
        self.store = bench.folder / f"{mode}-{number}"
        self.kills: list[Kill] = []
        self._cluster = cluster
        self._run: Run | None = None
        self._node_is_lost = False
        self._kept: dict[str, int] = {}

    def tell(self, victims: list[str]) -> None:
        """Kill these, one after the other; complete the store; check all."""
        try:
            for victim in victims:
                if not self._kill(victim):
                    break
            succeeded = self._complete()
            self._check(succeeded)
        finally:
            if self._run is not None:
                self._run.end()
            if self._node_is_lost and self._cluster is not None:
                self._cluster.add_second_node()

    def _start(self, *options: str) -> Run:
        chosen = [
            self._cluster.address if self._cluster and word == "ADDRESS" else word for word in MODES[self.mode][0]
        ]
        self._run = Run(self.bench, self.store, [*chosen, *options], self._cluster)
        return self._run

    def _kill(self, victim: str) -> bool:
        """Kill once; return whether there is something left to be killed."""
        run = self._run or self._start()
        run.wait_for_work()
        began_s = time.monotonic()
        estimate_s = self.bench.work_s[self.mode] * self.bench.share_missing(self.store)
        moment_s = self.bench.random.uniform(0, estimate_s)
        while time.monotonic() < began_s + moment_s and not self._is_over(run):
            time.sleep(min(0.02, max(0.0, began_s + moment_s - time.monotonic())))
        if self._is_over(run):
            self.bench.missed["after the end"] += 1
            # The work was shorter than estimated.
            self.bench.work_s[self.mode] *= max(0.5, (time.monotonic() - began_s) / max(estimate_s, 1e-9))
            return False
        helpers, in_hand, before = run.helpers(), run.in_hand(), self.bench.stored(self.store)
        pid = None
        if victim == NODE:
            if self._node_is_lost or self._cluster is None:
                self.bench.missed["no such process"] += 1
                return True
            self._cluster.kill_second_node()
            self._node_is_lost = True
        else:
            pid = run.find(victim, self.bench.random)
            if pid is None:
                self.bench.missed["no such process"] += 1
                return True
            os.kill(pid, signal.SIGKILL)
        self._kept |= before
        complete = len(self.bench.stored(self.store))
        kill = Kill(self.mode, self.store.name, victim, moment_s, estimate_s, complete, len(in_hand))
        self.kills.append(kill)
        self.bench.kills.append(kill)
        if victim in (RUN, COORDINATOR):
            run.process.wait(timeout=60)
            kill.gone_s = self._wait_until_gone(run, helpers)
            if (self.store / "zarr.json").exists():
                problems = FeatureStore.open(self.store).verify()
                self._expect(not problems, f"after the kill: {problems}")
            self._run = None
            if victim == COORDINATOR:
                said = "error: the Ray actor that hands out the videos is lost" in run.printed()
                self._expect(said or run.process.returncode == 0, run.printed())
        return True

    def _is_over(self, run: Run) -> bool:
        return run.process.poll() is not None or len(self.bench.stored(self.store)) == len(self.bench.frames)

    def _wait_until_gone(self, run: Run, helpers: Mapping[int, str]) -> float:
        """Wait until nothing is left of a run that has ended; return how long that took."""

        def is_gone() -> bool:
            return not any(is_running(pid) for pid in helpers) and not shared_memory(run.process.pid)

        try:
            return wait_until(is_gone, timeout_s=GONE_S)
        except AssertionError:
            left = [helpers[pid] for pid in helpers if is_running(pid)]
            self._expect(False, f"left {GONE_S:g} s after its end: {left} {shared_memory(run.process.pid)}")
            return GONE_S

    def _complete(self) -> bool:
        """Run to the end as a user would; return whether that succeeds."""
        for options in ([], ["--retry-failed"]):
            run = self._run or self._start(*options)
            code = run.process.wait(timeout=300)
            self._expect("Traceback" not in run.printed(), run.printed())
            self._wait_until_gone(run, dict.fromkeys(left_in_group(run), "a process of the run"))
            self._run = None
            if code == 0:
                return True
            failures = FeatureStore.open(self.store).ledger.failures()
            explained = failures and all(any(word in reason for word in EXPLAINED) for reason in failures.values())
            if not explained or not any(kill.victim != RUN for kill in self.kills):
                break
            self._expect(
                len(self.bench.stored(self.store)) + len(failures) == len(self.bench.frames),
                f"a killed worker cost more than its video: {run.printed()}",
            )
        return self._expect(False, run.printed())

    def _check(self, succeeded: bool) -> None:
        """Compare the store with the reference, and with itself at the kills."""
        verify = start_asl_kit("store", "verify", self.store)
        out, errors = verify.communicate(timeout=60)
        whole = self._expect(verify.returncode == 0, f"store verify: {out}{errors}")
        after = self.bench.stored(self.store)
        touched = [video_id for video_id, time_ns in self._kept.items() if after.get(video_id) != time_ns]
        kept = self._expect(not touched, f"complete at a kill, and not left alone since: {touched}")
        sense = self._check_ledger()
        try:
            assert_same_store(self.store, self.bench.folder / "reference")
            identical = True
        except AssertionError as fault:
            identical = self._expect(False, str(fault))
        for kill in self.kills:
            kill.is_complete = succeeded and whole and kept and sense
            kill.is_identical = identical
        shutil.rmtree(self.store)

    def _check_ledger(self) -> bool:
        attempts = list(FeatureStore.open(self.store).ledger.attempts())
        done = Counter(attempt.video_id for attempt in attempts if attempt.outcome == "done")
        failed = [attempt for attempt in attempts if attempt.outcome == "failed"]
        helpers_killed = sum(kill.victim != RUN for kill in self.kills)
        unnamed = self.bench.frames.keys() - done.keys()  # killed between the video's rename and the record
        strange = [attempt for attempt in failed if not any(word in attempt.reason for word in EXPLAINED)]
        return all(
            [
                self._expect(done.keys() <= self.bench.frames.keys(), f"ledger names others: {done}"),
                self._expect(not done or max(done.values()) == 1, f"done more than once: {done}"),
                self._expect(len(unnamed) <= len(self.kills), f"not in the ledger: {unnamed}"),
                self._expect(len(failed) <= helpers_killed and not strange, f"failed without reason: {failed}"),
            ]
        )

    def _expect(self, holds: bool, otherwise: str) -> bool:
        if not holds:
            self.bench.faults.append(f"{self.store.name}: {otherwise}")
        return holds


def left_in_group(run: Run) -> list[int]:
    """Return the processes that an ended run has left in its group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[2] == str(run.process.pid):
                found.append(int(path.parent.name))
    return found


def undisturbed(bench: Bench, store: Path, options: list[str], cluster: TwoNodes | None) -> float:
    """Extract all without a kill; return the seconds from the first open file to the last complete video."""
    run = Run(bench, store, options, cluster)
    try:
        run.wait_for_work()
        taken_s = wait_until(lambda: len(bench.stored(store)) == len(bench.frames), process=run.process)
        if run.process.wait(timeout=60):
            raise SystemExit(run.printed())
    finally:
        run.end()
    return taken_s


def kill_in_mode(bench: Bench, mode: str, kills: int) -> None:
    """Tell stories in one mode until so many kills have hit."""
    options, victims = MODES[mode]
    with ExitStack() as stack:
        cluster = stack.enter_context(TwoNodes(bench.environment)) if mode == "ray" else None
        if cluster is not None:
            options = [cluster.address if word == "ADDRESS" else word for word in options]
        calm = bench.folder / f"{mode}-calm"
        bench.work_s[mode] = undisturbed(bench, calm, options, cluster)
        assert_same_store(calm, bench.folder / "reference")
        bench.console.print(f"{mode}: {bench.work_s[mode]:.1f} s of work undisturbed, from the first open file on")
        hits = number = 0
        deck: list[str] = []
        while hits < kills:
            number += 1
            count = min(bench.random.randint(1, 3), kills - hits)
            while len(deck) < count:
                deck += bench.random.sample(victims, len(victims))
            story = Story(bench, mode, number, cluster)
            story.tell(deck[:count])
            del deck[: len(story.kills)]
            hits += len(story.kills)
            for kill in story.kills:
                bench.console.print(
                    f"{kill.store}: {kill.victim} at {kill.moment_s:.2f} s of {kill.estimate_s:.2f},"
                    f" {kill.complete}/{len(bench.frames)} complete;"
                    f" resumed: {_yes(kill.is_complete)}, identical: {_yes(kill.is_identical)}"
                )


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"


def table_of(bench: Bench) -> Table:
    """Return all kills, a row each."""
    table = Table(title=f"{len(bench.kills)} kills; {len(bench.frames)} videos")
    for name in ("mode", "store", "killed", "moment", "complete", "in hand", "all gone after", "resumed", "identical"):
        table.add_column(name)
    for kill in bench.kills:
        table.add_row(
            kill.mode,
            kill.store,
            kill.victim,
            f"{kill.moment_s:.2f} of {kill.estimate_s:.2f} s",
            f"{kill.complete}/{len(bench.frames)}",
            str(kill.in_hand),
            "-" if kill.gone_s is None else f"{kill.gone_s:.1f} s",
            _yes(kill.is_complete),
            _yes(kill.is_identical),
        )
    return table


def main() -> int:
    """Kill, complete, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=7, help="in each mode")
    parser.add_argument("--modes", default=",".join(MODES), help=", ".join(MODES))
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started_s = time.monotonic()
    console = Console(width=150, highlight=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "videos").mkdir()
        random = Random(options.seed)
        frames = {f"v{number:02}": random.randint(60, 500) for number in range(options.videos)}
        for video_id, count in frames.items():
            video = write_video(folder / "videos" / f"{video_id}.mp4", frames=count, fps=25)
            if kind := int(video_id[1:]) % 3:
                make_images(video, tar=kind == 1)
        environment = dict(ENVIRONMENT) | {"RAY_TMPDIR": name}
        bench = Bench(folder, frames, environment, random, console)
        console.print(
            f"seed {options.seed}; {len(frames)} videos of {min(frames.values())}-{max(frames.values())} frames"
        )
        undisturbed(bench, folder / "reference", ["--device", "cpu"], None)
        for mode in options.modes.split(","):
            kill_in_mode(bench, mode, options.kills)
    console.print(table_of(bench))
    for what, number in bench.missed.items():
        console.print(f"{number} kills {what}: not counted, made up for")
    for fault in bench.faults:
        console.print(f"FAULT {fault}", markup=False)
    failed = sum(not (kill.is_complete and kill.is_identical) for kill in bench.kills)
    console.print(
        f"{len(bench.kills) - failed} of {len(bench.kills)} kills survived, in {time.monotonic() - started_s:.0f} s"
    )
    return 1 if failed or bench.faults else 0


if __name__ == "__main__":
    sys.exit(main())
