"""TriDet here and in its own code: the same settings, data and evaluator, several seeds.

    git clone https://github.com/dingfengshi/TriDet   (at commit 764b816)
    python tests/benchmarks/tridet_study.py CLONE --data SETS/gtea --out study.jsonl

The sets are those of `study_sets.py`. The settings are those of TriDet's file for THUMOS14, except for `SMALL` and
`SETS`: as in `studies/encoders.toml`, but padded as TriDet pads. Ours has all parts of ASL off. Both take the weights
after the last epoch. Every run is a line of `--out`; a rerun adds what is missing. It prints the average mAP at tIoU
0.3 to 0.7 on the test split.

TriDet's code needs pandas, joblib, h5py and a C++ compiler beside asl-kit's packages.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from one_class_study import asl_kit, peer, read, train_theirs

from asl_kit.checkpoint_import.their_config import read_config, to_recipe
from asl_kit.checkpoint_import.tridet_config import TriDetConfig
from asl_kit.recipes.files import to_toml

RANGES = [[0, 4], [2, 8], [4, 16], [8, 32], [16, 64], [32, 128], [64, 10000]]
SMALL: dict[str, dict[str, Any]] = {
    "dataset": {"max_seq_len": 1024, "trunc_thresh": 0.3, "file_prefix": None, "file_ext": ".npy"},
    "model": {
        "backbone_arch": [2, 2, 6],
        "regression_range": RANGES,
        "embd_dim": 128,
        "fpn_dim": 128,
        "head_dim": 128,
        "sgp_mlp_dim": 192,
        "use_abs_pe": True,
        "init_conv_vars": 0.1,  # with its 0, the convolutions stay 0
        "input_noise": 0,
        "max_buffer_len_factor": 16.0,
    },
    "opt": {"learning_rate": 5e-4, "weight_decay": 0.05, "warmup_epochs": 5},
    "loader": {"batch_size": 2, "num_workers": 1},
    "test_cfg": {"max_seg_num": 200},
}
SETS: dict[str, dict[str, Any]] = {
    "gtea": {"epochs": 65, "default_fps": 15, "feat_stride": 1, "num_frames": 1},
    "50salads": {"epochs": 45, "default_fps": 3, "feat_stride": 1, "num_frames": 1},
    "sbhar": {"epochs": 35, "default_fps": 50, "feat_stride": 25, "num_frames": 25},
}
"""Epochs with warm-up, and the grid of the features, by name of the set's folder."""
PROGRAMS = ("TriDet", "asl-kit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=lambda text: Path(text).resolve())
    parser.add_argument("--data", type=lambda text: Path(text).resolve(), required=True, help="the folder of the set")
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), required=True, help="JSON lines")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="with warm-up; default: those of the set")
    parser.add_argument("--only", choices=PROGRAMS, help="run only this program")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for program in PROGRAMS if options.only is None else (options.only,):
            key = {"set": options.data.name, "program": program, "seed": seed}
            if any(all(line[name] == value for name, value in key.items()) for line in read(options.out)):
                continue
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                score = run(program, options, Path(folder), seed)
            line = key | {"average_mAP": score, "seconds": round(time.monotonic() - began)}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(line, flush=True)
    for program in PROGRAMS:
        found = [one for one in read(options.out) if (one["program"], one["set"]) == (program, options.data.name)]
        scores = [100 * line["average_mAP"] for line in found]
        if len(scores) > 1:
            spread = f"{statistics.mean(scores):.2f} ± {statistics.stdev(scores):.2f}"
            print(f"{program}: {spread}; " + ", ".join(f"{score:.2f}" for score in scores))


def run(program: str, options: argparse.Namespace, folder: Path, seed: int) -> float:
    """Train with one seed and return the score of the test split."""
    annotations = folder / "annotations.json"
    asl_kit("convert", "csv", str(options.data / "segments.csv"), "-o", str(annotations))
    peer.use_clone(options.clone)
    config = configuration(options, folder, annotations, seed)
    if program == "asl-kit":
        found = train_ours(folder, annotations, config, options.data)
    else:
        found = train_theirs(folder, annotations, config)
    scored = ("--predictions", str(found), "--tiou", "0.3:0.7:0.1", "--json", "-")
    score: float = json.loads(asl_kit("eval", "--annotations", str(annotations), *scored))["average_mAP"]
    return score


def configuration(options: argparse.Namespace, folder: Path, annotations: Path, seed: int) -> Path:
    """Write TriDet's configuration for the set."""
    import numpy as np

    fields = yaml.safe_load((options.clone / "configs" / "thumos_i3d.yaml").read_text(encoding="utf-8"))
    for table, changes in SMALL.items():
        fields[table] |= changes
    made = dict(SETS[options.data.name])
    epochs = options.epochs or made.pop("epochs")
    made.pop("epochs", None)
    warmup = min(fields["opt"]["warmup_epochs"], epochs - 1)
    fields["opt"] |= {"epochs": epochs - warmup, "warmup_epochs": warmup}
    features = options.data / "features"
    (classes,) = json.loads(annotations.read_text(encoding="utf-8"))["vocabularies"].values()
    fields["dataset"] |= made | {
        "json_file": str(folder / "theirs.json"),
        "feat_folder": str(features),
        "input_dim": int(np.load(next(features.glob("*.npy")), mmap_mode="r").shape[1]),
        "num_classes": len(classes),
    }
    fields |= {"init_rand_seed": seed, "train_split": ["train"], "val_split": ["test"]}
    path = folder / "config.yaml"
    peer.write_yaml(path, fields)
    return path


def train_ours(folder: Path, annotations: Path, config: Path, data: Path) -> Path:
    recipe, _ = to_recipe(read_config(config, TriDetConfig), vocabulary=None, source=str(config))
    (folder / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    made = SETS[data.name]
    grid = ("--fps", made["default_fps"], "--stride", made["feat_stride"], "--window", made["num_frames"])
    inputs = ("--annotations", str(annotations), "--features", str(folder / "features.zarr"))
    store = ("-o", str(folder / "features.zarr"), *inputs[:2], *map(str, grid))
    asl_kit("import-features", str(data / "features"), *store)
    last = ("--recipe", str(folder / "recipe.toml"), "--set", "optimizer.ema_decay=0")
    asl_kit("train", *inputs, "--out", str(folder / "run"), *last)
    asl_kit("eval", *inputs, "--checkpoint", str(folder / "run" / "model.ckpt"), "--out", str(folder / "results"))
    return folder / "results" / "detections.json"


if __name__ == "__main__":
    sys.exit(main())
