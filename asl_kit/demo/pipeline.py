"""The demo: every step of the pipeline, run on generated videos with the commands that users run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from asl_kit.base.console import err, progress_bar
from asl_kit.demo import videos
from asl_kit.demo.videos import Act, VideoPlan
from asl_kit.errors import AslKitError
from asl_kit.metrics import temporal_iou

EXTRACTION = {
    "--backbone": "mc3_18",
    "--weights": "random",
    "--size": "40",
    "--window": "8",
    "--stride": "8",
    "--dtype": "float32",
}
"""Options of the extraction: of those that take a minute on two cores, they separate the demo's actions best.

Weights are random, so nothing is downloaded. The features of such a network differ little from their mean, so they are
stored as float32.
"""

SHOWN_SCORE = 0.3
"""Detections of the new video that match no drawn action are shown from this score on."""


@dataclass(frozen=True)
class DemoResult:
    """Scores on the held-out videos, and seconds per step."""

    scores: dict[str, Any]
    seconds: dict[str, float]


def run_demo(folder: Path, *, seed: int, console: Console) -> DemoResult:
    """Draw the videos, run every step on them, and print the results.

    A repeated call keeps finished work and resumes an interrupted step.

    Parameters
    ----------
    folder : Path
        Absent, empty, or from an earlier call with the same seed.
    seed : int
        Determines what the videos show.
    console : Console
        Where to print.

    Raises
    ------
    UsageError
        If the folder holds anything else.
    AslKitError
        If a step fails; its exit code is that of the step.
    """
    new = videos.plan_video("new", seed=seed, split="new")
    started_s = time.monotonic()
    _write_videos(folder, seed, new)
    seconds = {"videos": time.monotonic() - started_s}
    for step, arguments in _commands(folder).items():
        console.rule(step, align="left")
        console.print(f"$ {shlex.join(['asl-kit', *arguments])}", style="bold")
        sys.stdout.flush()
        started_s = time.monotonic()
        command = [sys.executable, "-m", "asl_kit", *arguments]
        code = subprocess.run(command, stdout=console.file, check=False).returncode
        seconds[step] = time.monotonic() - started_s
        if code:
            failure = AslKitError(f"demo: {step} failed, see above", hint="run the same command again to continue")
            failure.exit_code = code
            raise failure
    result = DemoResult(json.loads((folder / "results" / "scores.json").read_bytes()), seconds)
    detections = json.loads((folder / "detections.json").read_bytes())["results"].get("new", [])
    console.rule("result", align="left")
    console.print(_new_video_table(new, detections))
    console.print(_summary_table(result))
    console.print(
        f"Open {folder / 'report.html'} in a browser: scores, errors, and each video with its detections.\n"
        f"Watch {folder / 'videos'}, read {folder / 'results'}, or see the training curve:"
        f" tensorboard --logdir {folder / 'run'}\n"
        f"Next: run the commands above on your own videos and a CSV with the columns of {folder / 'segments.csv'}."
    )
    return result


def _write_videos(folder: Path, seed: int, new: VideoPlan) -> None:
    """Write the demo's videos, and one that belongs to no split."""
    plans = videos.demo_plans(seed=seed)
    with progress_bar("drawing videos", len(plans)) as bar:
        written = videos.write_demo_videos(folder, plans, on_video=lambda plan: bar.advance())
    if written < len(plans):
        err().print(f"{len(plans) - written} of {len(plans)} videos exist from an earlier run")
    path = folder / "new" / "new.mp4"
    if not path.is_file():
        videos.write_video(path, videos.render_frames(new))


def _commands(out: Path) -> dict[str, list[str]]:
    """Return each step's command, without the leading ``asl-kit``."""
    annotations, features, run = str(out / "annotations.json"), str(out / "features.zarr"), out / "run"
    model, results = str(run / "model.ckpt"), out / "results"
    extraction = [word for option in EXTRACTION.items() for word in option]
    train = ["train", "--annotations", annotations, "--features", features, "--out", str(run), "--recipe", "demo"]
    return {
        "convert": ["convert", "csv", str(out / "segments.csv"), "-o", annotations],
        "extract": ["extract", str(out / "videos"), "-o", features, *extraction],
        "train": [*train, "--resume"] if (run / "last.ckpt").exists() else train,
        "eval": [
            *("eval", "--checkpoint", model, "--annotations", annotations, "--features", features),
            *("--split", "test", "--out", str(results), "--sensitivity", str(results / "sensitivity.json")),
        ],
        "predict": [
            *("predict", str(out / "new" / "new.mp4"), "--checkpoint", model),
            *("-o", str(out / "detections.json")),
        ],
        "report": [
            *("report", "--predictions", str(results / "detections.json"), "--annotations", annotations),
            *("--split", "test", "--videos", str(out / "videos"), "-o", str(out / "report.html")),
            *("--sensitivity", str(results / "sensitivity.json")),
        ],
    }


def _overlap(detection: dict[str, Any], act: Act) -> float:
    start_s, end_s = detection["segment"]
    return float(temporal_iou(start_s, end_s, act.start_s, act.end_s))


def _new_video_table(new: VideoPlan, detections: list[dict[str, Any]]) -> Table:
    """Return a table of the actions drawn in the new video, each with its detection."""
    table = Table(title="A video of neither split: actions drawn and detected", title_justify="left")
    for column in ("drawn", "from s", "to s"):
        table.add_column(column, justify="left" if column == "drawn" else "right")
    for column in ("detected", "from s", "to s", "score", "tIoU"):
        table.add_column(column, justify="left" if column == "detected" else "right")
    left = sorted(detections, key=lambda found: -found["score"])
    for act in new.actions():
        drawn = (act.name, f"{act.start_s:.1f}", f"{act.end_s:.1f}")
        match = next((x for x in left if x["label"] == act.name and _overlap(x, act) >= 0.5), None)
        if match is None:
            table.add_row(*drawn, Text("nothing", "dim"))
        else:
            left.remove(match)
            table.add_row(*drawn, *_detection_cells(match), f"{_overlap(match, act):.2f}")
    for extra in left:
        if extra["score"] >= SHOWN_SCORE:
            table.add_row(Text("nothing", "dim"), "", "", *_detection_cells(extra))
    return table


def _detection_cells(detection: dict[str, Any]) -> tuple[str, str, str, str]:
    start_s, end_s = detection["segment"]
    return detection["label"], f"{start_s:.1f}", f"{end_s:.1f}", f"{detection['score']:.2f}"


def _summary_table(result: DemoResult) -> Table:
    """Return the scores on the held-out videos and the time of each step."""
    scores, seconds = result.scores, result.seconds
    table = Table(title="Scores on held-out videos, and time", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    at_half = next(score for tiou, score in zip(scores["tiou"], scores["mAP"], strict=True) if abs(tiou - 0.5) < 1e-6)
    table.add_row("mAP@0.5", Text(f"{at_half:.3f}", "bold"))
    table.add_row(f"average mAP, tIoU {scores['tiou'][0]:g} to {scores['tiou'][-1]:g}", f"{scores['average_mAP']:.3f}")
    table.add_section()
    for step, duration_s in seconds.items():
        table.add_row(step, f"{duration_s:.0f} s")
    table.add_row("all", f"{sum(seconds.values()):.0f} s")
    return table
