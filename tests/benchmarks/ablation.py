"""What each part of Action Sensitivity Learning brings: every variant on the same seeds and data, against the baseline.

    python tests/benchmarks/ablation.py --out study.jsonl --data SETS/gtea --data SETS/50salads --generated

Each set is a folder: either `features/<video>.npy` and `segments.csv` (made into a store and annotations by asl-kit's
own commands), or `annotations.json` and `features.zarr` as `asl-kit demo` leaves them. `--generated` adds a set whose
informative frames are known (`informative_frames.py`), and the rank correlation of the learned sensitivity with them.

Every run is a line of `--out`, written when it is done; a rerun goes on with what is missing, so that a long study can
be run in pieces. At the end, and with `--show` at once, a table of each set: mean ± standard deviation over the seeds,
and the difference to the baseline, seed by seed.

`--test S2_` tests on the videos whose ids begin so and trains on all others, whatever the set's own split is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from informative_frames import NAMES, boundary_evidence, class_evidence, make_set, rank_correlation
from rich.console import Console
from rich.table import Table

BASELINE = "baseline"
OFF = ("sensitivity.class_level=false", "sensitivity.instance_level=false", "contrastive.enabled=false")
NO_CLASS, NO_INSTANCE, NO_CONTRASTIVE = OFF
CONTRASTIVE = "contrastive.enabled=true"
VARIANTS = {
    BASELINE: OFF,
    "class level": (NO_INSTANCE, NO_CONTRASTIVE),
    "instance level": (NO_CLASS, NO_CONTRASTIVE),
    "both levels": (NO_CONTRASTIVE,),
    "both levels, scores as published": (NO_CONTRASTIVE, "inference.sensitivity_power=0"),
    "both levels, paper": (NO_CONTRASTIVE, "sensitivity.mode=paper"),
    "contrastive": (NO_CLASS, NO_INSTANCE, CONTRASTIVE),
    "all, normalized": (CONTRASTIVE, "sensitivity.mode=normalized"),
    "all, quality": (CONTRASTIVE, "sensitivity.mode=quality"),
    "all, paper": (CONTRASTIVE, "sensitivity.mode=paper"),
}
# What ActionFormer does for Ego4D. On GTEA's test split its own code got 48.0 with its Ego4D configuration, and 41.2
# with that for THUMOS14: one seed each, the best of five tried, baseline alone. Which of its keys does it is not known.
EGO4D = (
    "model.pyramid_levels=7",
    "model.position_embedding=true",
    "model.regression_overlap=2",
    "model.dropout=0.1",
    "data.min_segment_share=0.3",
)
SMALL = ("model.width=128", "model.attention_window=9", "optimizer.learning_rate=5e-4", "inference.max_detections=200")


@dataclass(frozen=True)
class Set:
    """How a set's features were made, and how it is trained on: a width that suits small sets."""

    fps: float
    stride: int
    window: int
    settings: tuple[str, ...]


def _small(epochs: int, length: int = 1024) -> tuple[str, ...]:
    return (*SMALL, f"data.sequence_length={length}", f"optimizer.epochs={epochs}")


SETS = {
    # GTEA and 50 Salads: SpatialCNN features of Lea et al., CVPR 2017, split 1. SBHAR: UCI 341, raw inertial samples.
    "gtea": Set(15, 1, 1, (*_small(65), *EGO4D)),
    "50salads": Set(3, 1, 1, (*_small(45), *EGO4D)),
    "sbhar": Set(50, 25, 25, (*_small(35), *EGO4D)),
    "generated": Set(1, 1, 1, _small(30, 320)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; a rerun adds what is missing")
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="FOLDER", help="a set; repeatable")
    parser.add_argument("--generated", action="store_true", help="add the generated set")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only this one; repeatable")
    parser.add_argument(
        "--add", action="append", default=[], metavar="NAME:KEY=VALUE ...", help="a variant of your own; repeatable"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", metavar="PREFIX", help="test on the videos whose ids begin so, train on the others")
    parser.add_argument("--recipe", help="start from this recipe instead of the defaults")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every variant")
    parser.add_argument("--show", action="store_true", help="run nothing, show what is there")
    options = parser.parse_args()
    console = Console(width=130)
    folders = {folder.name: folder for folder in options.data}
    if options.generated:
        folders["generated"] = options.out.with_suffix(".data") / "generated-source"
    added = {name: tuple(words.split()) for name, _, words in (text.partition(":") for text in options.add)}
    settings_of = VARIANTS | added
    variants = [*(options.variant or ([] if added else VARIANTS)), *added]
    shared = [*(["recipe=" + options.recipe] if options.recipe else []), *options.set]
    shared += [f"test={options.test}"] if options.test else []

    # One seed of all variants first: pieces of a study are comparable whenever it is stopped.
    for seed in [] if options.show else range(options.seeds):
        for name, folder in folders.items():
            for variant in variants:
                of_set = SETS[name].settings if name in SETS else ()
                settings = [*of_set, *options.set, *settings_of[variant], f"run.seed={seed}"]
                key = {"set": name, "variant": variant, "seed": seed, "shared": shared, "settings": settings}
                if any(all(line.get(field) == value for field, value in key.items()) for line in _read(options.out)):
                    continue
                data = prepare(name, folder, options.out.with_suffix(".data") / name)
                result = run(data, recipe=options.recipe, settings=settings, test=options.test)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write("\n" * (file.tell() > 0) + json.dumps(key | result))
                console.print(f"{name}, {variant}, seed {seed}: average mAP {100 * result['average_mAP']:.2f}")
    lines = [line for line in _read(options.out) if line["shared"] == shared and line["seed"] < options.seeds]
    for name in dict.fromkeys(line["set"] for line in lines):
        console.print(summary(name, [line for line in lines if line["set"] == name]))


def _read(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):  # torn by a kill
            lines.append(json.loads(text))
    return lines


def prepare(name: str, source: Path, data: Path) -> Path:
    """Return a folder with `annotations.json` and `features.zarr`, made by asl-kit's commands if need be."""
    if (source / "features.zarr").exists():
        return source
    if name not in SETS:
        sys.exit(f"{source}: holds no features.zarr, and how its features were made is not known: {', '.join(SETS)}")
    if name == "generated" and not (source / "segments.csv").exists():
        make_set(source)
    made = SETS[name]
    data.mkdir(parents=True, exist_ok=True)
    annotations, store = data / "annotations.json", data / "features.zarr"
    if not annotations.exists():
        _asl_kit("convert", "csv", str(source / "segments.csv"), "-o", str(annotations))
    grid = ("--fps", str(made.fps), "--stride", str(made.stride), "--window", str(made.window))
    _asl_kit("import-features", str(source / "features"), "-o", str(store), "--annotations", str(annotations), *grid)
    return data


def split_anew(annotations: Path, test: str) -> Path:
    """Return a copy of annotations in which the videos are tested on whose ids begin with `test`."""
    document = json.loads(annotations.read_text("utf-8"))
    for video_id, video in document["videos"].items():
        video["split"] = "test" if video_id.startswith(test) else "train"
    copy = annotations.with_name(f"test-{test}.json")
    copy.write_text(json.dumps(document), "utf-8")
    return copy


def run(data: Path, *, recipe: str | None, settings: list[str], test: str | None = None) -> dict[str, Any]:
    """Train once, score the test split, and say what was learned of sensitivity."""
    annotations = data / "annotations.json"
    if test is not None:
        annotations = split_anew(annotations, test)
    inputs = ("--annotations", str(annotations), "--features", str(data / "features.zarr"))
    words = [word for setting in settings for word in ("--set", setting)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        _asl_kit("train", *inputs, "--out", folder, *(["--recipe", recipe] if recipe else []), *words)
        curves = Path(folder) / "sensitivity.json"
        options = ["--checkpoint", str(Path(folder) / "model.ckpt"), "--tiou", "0.3:0.7:0.1", "--json", "-"]
        if not {NO_CLASS, NO_INSTANCE} <= set(settings):
            options += ["--sensitivity", str(curves)]
        scores = json.loads(_asl_kit("eval", *inputs, *options))
        learned = json.loads(curves.read_text("utf-8")) if curves.exists() else {}
    found = {name: scores[name] for name in ("mAP", "average_mAP", "per_class")}
    if learned.get("classes"):
        found["sigma"] = {name: curve["sigma"] for name, curve in learned["classes"].items()}
        found["mu"] = {name: curve["mu"] for name, curve in learned["classes"].items()}
    if learned and data.name == "generated":
        found["rank_correlation"] = correlations(learned, json.loads(annotations.read_text("utf-8")))
    return found | {"seconds": round(time.monotonic() - began)}


def _asl_kit(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "asl_kit", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"asl-kit {' '.join(words)}\n{done.stderr}")
    return done.stdout


def correlations(learned: dict[str, Any], annotations: dict[str, Any]) -> dict[str, list[float]]:
    """Return the rank correlation of learned sensitivity and truth by level: classification, localization.

    Class level: the curves over the whole segment, a mean over classes. Instance level: q over the features in each
    test segment, a mean over the segments of a class, then over classes.
    """
    found = {}
    if learned["classes"]:
        u = np.array(learned["u"])
        curves = [(name, u, curve["p_cls"], curve["p_loc"]) for name, curve in learned["classes"].items()]
        found["class"] = _mean_correlation(curves)
    if learned["videos"]:
        stretches = []
        for video_id, curve in learned["videos"].items():
            time_s = curve["first_s"] + curve["step_s"] * np.arange(len(curve["q_cls"]))
            for segment in annotations["videos"][video_id]["segments"]:
                start, end = segment["start"], segment["end"]
                inside = (time_s >= start) & (time_s < end)
                q = [np.array(curve[name])[inside] for name in ("q_cls", "q_loc")]
                (name,) = segment["labels"].values()
                stretches.append((name, (time_s[inside] - (start + end) / 2) / (end - start), *q))
        found["instance"] = _mean_correlation(stretches)
    return found


def _mean_correlation(stretches: list[tuple[str, Any, Any, Any]]) -> list[float]:
    """Return the correlation with the truth of (class, relative positions, for classification, for localization)."""
    by_class: dict[str, list[list[float]]] = {}
    for name, u, for_classification, for_localization in stretches:
        pairs = ((for_classification, class_evidence(NAMES.index(name), u)), (for_localization, boundary_evidence(u)))
        by_class.setdefault(name, []).append([rank_correlation(np.asarray(a), b) for a, b in pairs])
    return [float(value) for value in np.mean([np.mean(pairs, axis=0) for pairs in by_class.values()], axis=0)]


def summary(name: str, lines: list[dict[str, Any]]) -> Table:
    """Return a set's table."""
    names = dict.fromkeys([*VARIANTS, *(x["variant"] for x in lines)])
    by_variant = {name: {x["seed"]: x for x in lines if x["variant"] == name} for name in names}
    base = by_variant[BASELINE]
    table = Table(title=f"{name}: held-out videos, per cent, mean ± standard deviation over the seeds")
    for column in ("variant", "mAP@0.5", "average mAP 0.3:0.7", "minus baseline", "a seed each", "rank correlation"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for variant, runs in by_variant.items():
        if not runs:
            continue
        average = [100 * line["average_mAP"] for line in runs.values()]
        paired = [100 * (runs[seed]["average_mAP"] - base[seed]["average_mAP"]) for seed in runs if seed in base]
        table.add_row(
            variant,
            _spread([100 * line["mAP"][2] for line in runs.values()]),
            _spread(average),
            "" if variant == BASELINE or not paired else _spread(paired, sign="+"),
            "  ".join(f"{value:.1f}" for value in average),
            _correlations(list(runs.values())),
        )
    return table


def _spread(values: list[float], sign: str = "") -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):{sign}.1f} ± {deviation:.1f}"


def _correlations(lines: list[dict[str, Any]]) -> str:
    """Return the mean rank correlations of each level: classification, localization."""
    parts = []
    for level in ("class", "instance"):
        found = [line["rank_correlation"] for line in lines if "rank_correlation" in line]
        values = [correlation[level] for correlation in found if level in correlation]
        if values:
            parts.append(f"{level} " + ", ".join(f"{value:+.2f}" for value in np.mean(values, axis=0)))
    return "; ".join(parts)


if __name__ == "__main__":
    main()
