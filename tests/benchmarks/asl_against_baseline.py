"""ASL against its baseline on the demo's videos, on the same seeds: run this file.

Takes the features and annotations that `asl-kit demo` leaves (and runs it if they are not there), trains each variant
once a seed, scores it on the held-out videos, and prints mean and standard deviation over the seeds. About a minute a
run on two cores. Any other annotations and store can be given too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

BASELINE = ("sensitivity.class_level=false", "sensitivity.instance_level=false", "contrastive.enabled=false")
VARIANTS = {
    "baseline (ActionFormer)": BASELINE,
    "+ class level": ("sensitivity.instance_level=false", "contrastive.enabled=false"),
    "+ instance level": ("sensitivity.class_level=false", "contrastive.enabled=false"),
    "+ contrastive": BASELINE[:2],
    "all, weights as published": ("sensitivity.mode=paper",),
    "all, weights normalized": ("sensitivity.mode=normalized",),
    "all, weights from quality": ("sensitivity.mode=quality",),
}


def score(
    annotations: Path, features: Path, out: Path, *, recipe: str, settings: tuple[str, ...]
) -> tuple[float, float]:
    """Train once; return mAP at tIoU 0.5 and the average mAP on the test split."""
    words = [word for setting in settings for word in ("--set", setting)]
    data = ["--annotations", str(annotations), "--features", str(features)]
    asl_kit = [sys.executable, "-m", "asl_kit"]
    train = [*asl_kit, "train", *data, "--out", str(out), "--recipe", recipe, *words]
    subprocess.run(train, check=True, capture_output=True)
    evaluate = [*asl_kit, "eval", *data, "--checkpoint", str(out / "model.ckpt"), "--tiou", "0.3:0.7:0.1"]
    done = subprocess.run([*evaluate, "--json", "-"], check=True, capture_output=True, text=True)
    scores = json.loads(done.stdout)
    return scores["mAP"][2], scores["average_mAP"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("asl-kit-demo"), help="folder of `asl-kit demo`")
    parser.add_argument("--annotations", type=Path, help="other annotations than the demo's")
    parser.add_argument("--features", type=Path, help="another store than the demo's")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every variant")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", help="names of variants")
    options = parser.parse_args()
    annotations = options.annotations or options.demo / "annotations.json"
    features = options.features or options.demo / "features.zarr"
    if not annotations.exists() or not features.exists():
        subprocess.run([sys.executable, "-m", "asl_kit", "demo", "--out", str(options.demo)], check=True)

    console = Console(width=110)
    table = Table(title=f"{options.seeds} seeds each, held-out videos: mean ± standard deviation, in per cent")
    for column in ("variant", "mAP@0.5", "average mAP 0.3:0.7", "average mAP, a seed each"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for name, settings in VARIANTS.items():
        if options.only and name not in options.only:
            continue
        found = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                every = (*options.set, *settings, f"run.seed={seed}")
                found.append(score(annotations, features, Path(folder), recipe=options.recipe, settings=every))
            console.print(f"{name}, seed {seed}: mAP@0.5 {found[-1][0]:.4f}, average {found[-1][1]:.4f}")
        at_half, average = zip(*found, strict=True)
        table.add_row(name, _spread(at_half), _spread(average), "  ".join(f"{100 * value:.1f}" for value in average))
    console.print(table)


def _spread(values: tuple[float, ...]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f}"


if __name__ == "__main__":
    main()
