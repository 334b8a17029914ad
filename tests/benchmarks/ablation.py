"""What each part of Action Sensitivity Learning brings: every variant on the same seeds and data, against the baseline.

    python tests/benchmarks/ablation.py --out study.jsonl --data SETS/gtea --data SETS/50salads --generated

Each set is a folder: either `features/<video>.npy` and `segments.csv` (made into a store and annotations by asl-kit's
own commands), or `annotations.json` and `features.zarr` as `asl-kit demo` leaves them. `--generated` adds a set whose
informative frames are known (`informative_frames.py`), and the rank correlation of the learned sensitivity with them.

Every run is a line of `--out`, written when it is done; a rerun goes on with what is missing, so that a long study can
be run in pieces. At the end, and with `--show` at once, a table of each set: mean ± standard deviation over the seeds,
and the difference to the baseline, seed by seed.
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
import torch
from informative_frames import boundary_evidence, class_evidence, make_set, rank_correlation
from rich.console import Console
from rich.table import Table

from asl_kit.annotations import read_annotations
from asl_kit.checkpoint import load_checkpoint
from asl_kit.data import FeatureStreams, load_split
from asl_kit.model.sensitivity import ClassSensitivity, relative_position

BASELINE = "baseline"
OFF = ("sensitivity.class_level=false", "sensitivity.instance_level=false", "contrastive.enabled=false")
NO_CLASS, NO_INSTANCE, NO_CONTRASTIVE = OFF
VARIANTS = {
    BASELINE: OFF,
    "class level": (NO_INSTANCE, NO_CONTRASTIVE),
    "instance level": (NO_CLASS, NO_CONTRASTIVE),
    "both levels": (NO_CONTRASTIVE,),
    "contrastive": (NO_CLASS, NO_INSTANCE),
    "all, normalized": ("sensitivity.mode=normalized",),
    "all, quality": ("sensitivity.mode=quality",),
    "all, paper": ("sensitivity.mode=paper",),
}
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
    "gtea": Set(15, 1, 1, _small(65)),
    "50salads": Set(3, 1, 1, _small(45)),
    "sbhar": Set(50, 25, 25, _small(35)),
    "generated": Set(1, 1, 1, _small(30, 320)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; a rerun adds what is missing")
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="FOLDER", help="a set; repeatable")
    parser.add_argument("--generated", action="store_true", help="add the generated set")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only this one; repeatable")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", help="start from this recipe instead of the defaults")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every variant")
    parser.add_argument("--show", action="store_true", help="run nothing, show what is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=130)
    folders = {folder.name: folder for folder in options.data}
    if options.generated:
        folders["generated"] = options.out.with_suffix(".data") / "generated-source"
    variants = options.variant or list(VARIANTS)
    shared = [*(["recipe=" + options.recipe] if options.recipe else []), *options.set]

    # One seed of all variants first: pieces of a study are comparable whenever it is stopped.
    for seed in [] if options.show else range(options.seeds):
        for name, folder in folders.items():
            for variant in variants:
                key = {"set": name, "variant": variant, "seed": seed, "shared": shared}
                if any(all(line.get(field) == value for field, value in key.items()) for line in _read(options.out)):
                    continue
                data = prepare(name, folder, options.out.with_suffix(".data") / name)
                settings = (*(SETS[name].settings if name in SETS else ()), *options.set, *VARIANTS[variant])
                result = run(data, recipe=options.recipe, settings=(*settings, f"run.seed={seed}"))
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


def run(data: Path, *, recipe: str | None, settings: tuple[str, ...]) -> dict[str, Any]:
    """Train once and score the test split."""
    inputs = ("--annotations", str(data / "annotations.json"), "--features", str(data / "features.zarr"))
    words = [word for setting in settings for word in ("--set", setting)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        _asl_kit("train", *inputs, "--out", folder, *(["--recipe", recipe] if recipe else []), *words)
        checkpoint = Path(folder) / "model.ckpt"
        done = _asl_kit("eval", *inputs, "--checkpoint", str(checkpoint), "--tiou", "0.3:0.7:0.1", "--json", "-")
        scores = json.loads(done)
        learned = learned_sensitivity(checkpoint, data)
    found = {name: scores[name] for name in ("mAP", "average_mAP", "per_class")}
    return found | learned | {"settings": settings, "seconds": round(time.monotonic() - began)}


def _asl_kit(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "asl_kit", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"asl-kit {' '.join(words)}\n{done.stderr}")
    return done.stdout


def learned_sensitivity(checkpoint_path: Path, data: Path) -> dict[str, Any]:
    """Return the learned curves, and for the generated set their rank correlation with the truth, a mean over classes.

    Class level: the curves over the whole segment. Instance level: q at the finest level, over the points of every test
    segment. Each for classification and localization.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    prefix = "class_sensitivity."
    curves = ClassSensitivity(len(checkpoint.class_names))
    curves.load_state_dict(
        {key.removeprefix(prefix): value for key, value in checkpoint.objective.items() if key.startswith(prefix)}
    )
    tables = checkpoint.recipe.sensitivity
    learned: dict[str, Any] = {}
    if tables.class_level:
        learned |= {"mu": curves.mu.tolist(), "sigma": curves.sigma.tolist()}
    if data.name != "generated":
        return learned
    truth_of = {int(name.rpartition("_")[2]): index for index, name in enumerate(checkpoint.class_names)}
    if tables.class_level:
        u = np.linspace(-0.5, 0.5, 101)
        pairs = []
        for kind, place in truth_of.items():
            with torch.no_grad():
                p = curves(torch.from_numpy(u), torch.full((len(u),), place)).double().numpy()
            pairs.append([rank_correlation(p[:, i], _truth(kind, u)[i]) for i in (0, 1)])
        learned["rank_correlation_class_level"] = np.mean(pairs, axis=0).tolist()
    if tables.instance_level:
        learned["rank_correlation_instance_level"] = _instance_correlation(checkpoint, data, list(truth_of))
    return learned


def _truth(kind: int, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return class_evidence(kind, u), boundary_evidence(u)


@torch.inference_mode()
def _instance_correlation(checkpoint: Any, data: Path, kinds: list[int]) -> list[float]:
    network = checkpoint.build()
    streams = FeatureStreams([data / "features.zarr"])
    annotations = read_annotations(data / "annotations.json")
    found: dict[int, list[list[float]]] = {kind: [] for kind in kinds}
    for item in load_split(annotations, "test", streams, checkpoint.class_names, "action").items:
        features = torch.from_numpy(streams.read(item.video_id)).T
        steps = features.shape[1]
        padded = network.padded_length(steps)
        mask = torch.arange(padded) < steps
        output = network(torch.nn.functional.pad(features, (0, padded - steps))[None], mask[None])
        q = output.sensitivity[0, :steps].double().numpy()
        segments = torch.from_numpy(item.grid.to_index(item.segments_s))
        for (start, end), label in zip(segments, item.labels, strict=True):
            inside = torch.arange(int(start.ceil()), int(end.floor()) + 1)
            truth = _truth(kinds[label], relative_position(inside, start, end).double().numpy())
            found[kinds[label]].append([rank_correlation(q[inside.numpy(), i], truth[i]) for i in (0, 1)])
    return np.mean([np.mean(pairs, axis=0) for pairs in found.values() if pairs], axis=0).tolist()


def summary(name: str, lines: list[dict[str, Any]]) -> Table:
    """Return a set's table."""
    by_variant = {variant: {x["seed"]: x for x in lines if x["variant"] == variant} for variant in VARIANTS}
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
    """Return `class level / instance level` correlations: each classification, localization."""
    parts = []
    for level in ("class", "instance"):
        values = [
            line[f"rank_correlation_{level}_level"] for line in lines if f"rank_correlation_{level}_level" in line
        ]
        if values:
            parts.append(f"{level} " + ", ".join(f"{value:+.2f}" for value in np.mean(values, axis=0)))
    return "; ".join(parts)


if __name__ == "__main__":
    main()
