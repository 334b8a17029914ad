"""TriDet in its own code and here, without and with ASL: the same settings, data and evaluator, several seeds.

    git clone https://github.com/dingfengshi/TriDet   (at commit 764b816)
    python tests/benchmarks/tridet_study.py CLONE --data SETS/gtea --out study.jsonl

The sets are those of `study_sets.py`. The settings are those of TriDet's file for THUMOS14, except for `SMALL` and
`SETS`: as in `studies/encoders.toml`, but padded as TriDet pads. All take the weights after the last epoch. Every run
is a line of `--out`; a rerun adds what is missing. It prints the average mAP at tIoU 0.3 to 0.7 on the test split.

TriDet's code needs pandas, joblib, h5py and a C++ compiler beside asl-kit's packages.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from one_class_study import asl_kit, compare, make_parser, peer, score_of, train_ours, train_theirs

from asl_kit.checkpoint_import.tridet_config import TriDetConfig

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
PROGRAMS = ("TriDet", "asl-kit", "asl-kit, ASL")
ASL = ("sensitivity.class_level=true", "sensitivity.instance_level=true")


def main() -> None:
    parser = make_parser(__doc__, PROGRAMS)
    parser.add_argument("--epochs", type=int, help="with warm-up; default: those of the set")
    compare(PROGRAMS, run, parser.parse_args())


def run(program: str, options: argparse.Namespace, folder: Path, seed: int) -> float:
    """Train with one seed and return the score of the test split."""
    annotations = folder / "annotations.json"
    asl_kit("convert", "csv", str(options.data / "segments.csv"), "-o", str(annotations))
    peer.use_clone(options.clone)
    config = configuration(options, folder, annotations, seed)
    if program == "TriDet":
        found = train_theirs(folder, annotations, config)
    else:
        grid, settings = SETS[options.data.name], ASL if program == "asl-kit, ASL" else ()
        found = train_ours(folder, annotations, config, TriDetConfig, options.data, grid, settings=settings)
    return score_of(annotations, found)


def configuration(options: argparse.Namespace, folder: Path, annotations: Path, seed: int) -> Path:
    """Write TriDet's configuration for the set."""
    import numpy as np

    fields = yaml.safe_load((options.clone / "configs" / "thumos_i3d.yaml").read_text(encoding="utf-8"))
    for table, changes in SMALL.items():
        fields[table] |= changes
    made = dict(SETS[options.data.name])
    epochs = made.pop("epochs")
    epochs = options.epochs or epochs
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


if __name__ == "__main__":
    sys.exit(main())
