"""`asl-kit demo`: the whole way on videos of its own making, by the same commands that users run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli.options import json_option

if TYPE_CHECKING:
    from rich.table import Table

    from asl_kit.demo.videos import Act, VideoPlan

EXTRACTION = {
    "--backbone": "mc3_18",
    "--weights": "random",
    "--size": "40",
    "--window": "16",
    "--stride": "8",
    "--dtype": "float32",
}
"""How the demo extracts: what separates its actions best in two minutes on two cores.

Weights are random, so nothing is downloaded. Features of such a network differ little from their mean: float32 keeps
the difference.
"""

SHOWN_SCORE = 0.3
"""Detections of the new video that fit nothing drawn are shown from this score on."""


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("asl-kit-demo"),
    show_default=True,
    help="Folder of videos, features and results.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides what the videos show.")
@json_option("scores and times")
@click.pass_context
def demo(ctx: click.Context, out: Path, seed: int, json_path: str | None) -> None:
    """Make small videos and run every step on them.

    Jointed figures perform actions told apart by motion. A model is trained on
    28 videos and scored on 12 others, then run on one more. No download, no GPU;
    about three minutes on two cores. Run again to go on after an interruption.
    """
    from asl_kit.base.console import err
    from asl_kit.base.console import out as stdout
    from asl_kit.cli.output import write_json
    from asl_kit.demo.videos import plan_video

    console = err() if json_path == "-" else stdout()
    new = plan_video("new", seed=seed, split="new")
    seconds = {"videos": _timed(lambda: _write_videos(out, seed, new))}
    for step, arguments in _commands(out).items():
        console.rule(step, align="left")
        console.print(f"$ {shlex.join(['asl-kit', *arguments])}", style="bold")
        sys.stdout.flush()
        started_s = time.monotonic()
        code = subprocess.run(
            [sys.executable, "-m", "asl_kit", *arguments], stdout=console.file, check=False
        ).returncode
        seconds[step] = time.monotonic() - started_s
        if code:
            err().print(f"demo: {step} failed, see above. The same command goes on from here.")
            ctx.exit(code)
    scores = json.loads((out / "results" / "scores.json").read_bytes())
    console.rule("result", align="left")
    console.print(_new_video_table(new, json.loads((out / "detections.json").read_bytes())["results"].get("new", [])))
    console.print(_summary_table(scores, seconds))
    console.print(
        f"Open {out / 'report.html'} in a browser: scores, errors, and each video beside what was found in it.\n"
        f"Watch {out / 'videos'}, read {out / 'results'}, or follow the training: tensorboard --logdir {out / 'run'}\n"
        f"Next: your own videos and a CSV with the columns of {out / 'segments.csv'}, by the commands above."
    )
    if json_path is not None:
        write_json({"scores": scores, "seconds": seconds}, json_path)


def _timed(work: Any) -> float:
    started_s = time.monotonic()
    work()
    return time.monotonic() - started_s


def _write_videos(out: Path, seed: int, new: VideoPlan) -> None:
    """Write the demo's videos, and one that belongs to no split."""
    from asl_kit.base.console import err, progress_bar
    from asl_kit.demo.videos import demo_plans, render_frames, write_demo_videos, write_video

    plans = demo_plans(seed=seed)
    with progress_bar("drawing videos", len(plans)) as bar:
        written = write_demo_videos(out, plans, on_video=lambda plan: bar.advance())
    if written < len(plans):
        err().print(f"{len(plans) - written} of {len(plans)} videos were there from an earlier run")
    path = out / "new" / "new.mp4"
    if not path.is_file():
        write_video(path, render_frames(new))


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


def _overlap(found: dict[str, Any], act: Act) -> float:
    from asl_kit.metrics import temporal_iou

    start_s, end_s = found["segment"]
    return float(temporal_iou(start_s, end_s, act.start_s, act.end_s))


def _new_video_table(new: VideoPlan, detections: list[dict[str, Any]]) -> Table:
    """Return what was drawn in the new video, and beside it what was found."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="A video of neither split: what was drawn, what was found", title_justify="left")
    for column in ("drawn", "from s", "to s"):
        table.add_column(column, justify="left" if column == "drawn" else "right")
    for column in ("found", "from s", "to s", "score", "tIoU"):
        table.add_column(column, justify="left" if column == "found" else "right")
    left = sorted(detections, key=lambda found: -found["score"])
    for act in new.actions():
        drawn = (act.name, f"{act.start_s:.1f}", f"{act.end_s:.1f}")
        match = next((x for x in left if x["label"] == act.name and _overlap(x, act) >= 0.5), None)
        if match is None:
            table.add_row(*drawn, Text("nothing", "dim"))
        else:
            left.remove(match)
            table.add_row(*drawn, *_found(match), f"{_overlap(match, act):.2f}")
    for extra in left:
        if extra["score"] >= SHOWN_SCORE:
            table.add_row(Text("nothing", "dim"), "", "", *_found(extra))
    return table


def _found(detection: dict[str, Any]) -> tuple[str, str, str, str]:
    start_s, end_s = detection["segment"]
    return detection["label"], f"{start_s:.1f}", f"{end_s:.1f}", f"{detection['score']:.2f}"


def _summary_table(scores: dict[str, Any], seconds: dict[str, float]) -> Table:
    """Return the scores on the held-out videos and the time of each step."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Held-out videos, and time", title_justify="left", show_header=False)
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
