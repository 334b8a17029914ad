"""One-class training here and in ActionFormer's own code: the same settings, data and evaluator, several seeds.

    git clone https://github.com/happyharrycn/actionformer_release   (compared at commit 61ea7eb)
    python tests/benchmarks/one_class_study.py CLONE --data SETS/sbhar --out study.jsonl

The set is a folder with `features/<video>.npy` and `segments.csv`, as for `study_sets.py`. The settings are those of
ActionFormer's ActivityNet configuration, except for the widths and lengths of `SMALL`, which suit a small set, and
except that videos are not resized. Both take the weights after the last epoch. Every run is a line of `--out`; a rerun
adds what is missing. It prints the class-agnostic average mAP at tIoU 0.3 to 0.7 on the test split.

ActionFormer's code needs pandas, joblib, h5py and a C++ compiler beside asl-kit's packages.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asl_kit.checkpoint_import.actionformer_config import ActionFormerConfig
from asl_kit.checkpoint_import.their_config import TheirConfig, read_config, to_recipe
from asl_kit.recipes.files import to_toml

sys.path.insert(0, str(Path(__file__).parents[1] / "reference" / "scripts"))
import actionformer_peer as peer

SMALL: dict[str, dict[str, Any]] = {
    "dataset": {"force_upsampling": False, "max_seq_len": 512, "file_prefix": None},
    "model": {
        "n_mha_win_size": [9, 9, 9, 9, 9, -1],
        "embd_dim": 64,
        "fpn_dim": 64,
        "head_dim": 64,
        "max_buffer_len_factor": 6.0,
    },
    "opt": {"epochs": 10},
    "loader": {"batch_size": 2, "num_workers": 1},
    "train_cfg": {"init_loss_norm": 100},
}
SETS = {"sbhar": {"default_fps": 50, "feat_stride": 25, "num_frames": 25, "input_dim": 150}}
PROGRAMS = ("ActionFormer", "asl-kit")


def main() -> None:
    compare(PROGRAMS, run, make_parser(__doc__, PROGRAMS).parse_args())


def make_parser(description: str | None, programs: Sequence[str]) -> argparse.ArgumentParser:
    """Return the options of a study of two programs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=lambda text: Path(text).resolve())
    parser.add_argument("--data", type=lambda text: Path(text).resolve(), required=True, help="the folder of the set")
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), required=True, help="JSON lines")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=programs, help="run only this program")
    return parser


def compare(
    programs: Sequence[str], run: Callable[[str, argparse.Namespace, Path, int], float], options: argparse.Namespace
) -> None:
    """Run what is missing, one seed of every program before the next, and print the scores of each program."""
    for seed in range(options.seeds):
        for program in programs if options.only is None else (options.only,):
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
    for program in programs:
        found = [one for one in read(options.out) if (one["program"], one["set"]) == (program, options.data.name)]
        scores = [100 * line["average_mAP"] for line in found]
        if len(scores) > 1:
            spread = f"{statistics.mean(scores):.2f} ± {statistics.stdev(scores):.2f}"
            print(f"{program}: {spread}; " + ", ".join(f"{score:.2f}" for score in scores))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()] if path.exists() else []


def run(program: str, options: argparse.Namespace, folder: Path, seed: int) -> float:
    """Train with one seed and return the score of the test split."""
    annotations = folder / "annotations.json"
    asl_kit("convert", "csv", str(options.data / "segments.csv"), "-o", str(annotations))
    peer.use_clone(options.clone)
    config = configuration(options.clone, options.data, folder, seed)
    if program == "asl-kit":
        grid = SETS[options.data.name]
        found = train_ours(folder, annotations, config, ActionFormerConfig, options.data, grid, ("--class-agnostic",))
    else:
        found = train_theirs(folder, annotations, config)
    return score_of(annotations, found, "--class-agnostic")


def score_of(annotations: Path, found: Path, *words: str) -> float:
    """Return the average mAP of detections."""
    scored = ("--predictions", str(found), *words, "--tiou", "0.3:0.7:0.1", "--json", "-")
    score: float = json.loads(asl_kit("eval", "--annotations", str(annotations), *scored))["average_mAP"]
    return score


def configuration(clone: Path, data: Path, folder: Path, seed: int) -> Path:
    """Write ActionFormer's configuration for the set."""
    import yaml

    fields = yaml.safe_load((clone / "configs" / "anet_tsp.yaml").read_text(encoding="utf-8"))
    for table, changes in SMALL.items():
        fields[table] |= changes
    places = {"json_file": str(folder / "theirs.json"), "feat_folder": str(data / "features")}
    fields["dataset"] |= SETS[data.name] | places
    fields["test_cfg"]["ext_score_file"] = None
    fields |= {"init_rand_seed": seed, "train_split": ["train"], "val_split": ["test"]}
    path = folder / "config.yaml"
    peer.write_yaml(path, fields)
    return path


def train_ours(
    folder: Path,
    annotations: Path,
    config: Path,
    program: type[TheirConfig],
    data: Path,
    grid: Mapping[str, Any],
    scoring: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> Path:
    """Train with another program's configuration and these settings, and return the detections of the test split."""
    recipe, _ = to_recipe(read_config(config, program), vocabulary=None, source=str(config))
    (folder / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    times = ("--fps", grid["default_fps"], "--stride", grid["feat_stride"], "--window", grid["num_frames"])
    inputs = ("--annotations", str(annotations), "--features", str(folder / "features.zarr"))
    store = ("-o", str(folder / "features.zarr"), *inputs[:2], *map(str, times))
    asl_kit("import-features", str(data / "features"), *store)
    changes = [word for setting in ("optimizer.ema_decay=0", *settings) for word in ("--set", setting)]
    asl_kit("train", *inputs, "--out", str(folder / "run"), "--recipe", str(folder / "recipe.toml"), *changes)
    model = ("--checkpoint", str(folder / "run" / "model.ckpt"), *scoring)
    asl_kit("eval", *inputs, *model, "--out", str(folder / "results"))
    return folder / "results" / "detections.json"


def train_theirs(folder: Path, annotations: Path, config: Path) -> Path:
    """Train as the program's train.py does, without its moving average, and test as its eval.py does."""
    document = json.loads(annotations.read_text(encoding="utf-8"))
    (classes,) = document["vocabularies"].values()
    database = {
        video_id: {
            "subset": video["split"],
            "duration": video["duration"],
            "fps": video["fps"],
            "annotations": [
                {"segment": [segment["start"], segment["end"]], "label": label, "label_id": classes.index(label)}
                for segment in video["segments"]
                for label in segment["labels"].values()
            ],
        }
        for video_id, video in document["videos"].items()
    }
    (folder / "theirs.json").write_text(json.dumps({"database": database}), encoding="utf-8")

    import pickle

    from libs.datasets import make_data_loader, make_dataset
    from libs.modeling import make_meta_arch
    from libs.utils import fix_random_seed, make_optimizer, make_scheduler, train_one_epoch, valid_one_epoch
    from torch import nn

    cfg = peer.load_config(config)
    generator = fix_random_seed(cfg["init_rand_seed"], include_cuda=True)
    split = make_dataset(cfg["dataset_name"], True, cfg["train_split"], **cfg["dataset"])
    loader = make_data_loader(split, True, generator, **cfg["loader"])
    loader.batch_sampler.drop_last = False  # asl-kit trains on the last, smaller batch of an epoch too
    model = nn.DataParallel(make_meta_arch(cfg["model_name"], **cfg["model"]))
    optimizer = make_optimizer(model, cfg["opt"])
    scheduler = make_scheduler(optimizer, cfg["opt"], len(loader))
    never = 10**9  # it waits for a GPU before it prints
    for epoch in range(cfg["opt"]["epochs"] + cfg["opt"]["warmup_epochs"]):
        clip = cfg["train_cfg"]["clip_grad_l2norm"]
        train_one_epoch(loader, model, optimizer, scheduler, epoch, clip_grad_l2norm=clip, print_freq=never)
    split = make_dataset(cfg["dataset_name"], False, cfg["val_split"], **cfg["dataset"])
    loader = make_data_loader(split, False, None, 1, cfg["loader"]["num_workers"])
    valid_one_epoch(loader, model, -1, output_file=str(folder / "found.pkl"), print_freq=never)
    found = pickle.loads((folder / "found.pkl").read_bytes())
    results: dict[str, list[dict[str, Any]]] = {}
    names = ["action"] if cfg["dataset"]["num_classes"] == 1 else classes
    for video, start, end, score, label in zip(
        *(found[key] for key in ("video-id", "t-start", "t-end", "score", "label")), strict=True
    ):
        if end > start:
            row = {"segment": [float(start), float(end)], "score": float(score), "label": names[int(label)]}
            results.setdefault(video, []).append(row)
    (folder / "found.json").write_text(json.dumps({"results": results}), encoding="utf-8")
    return folder / "found.json"


def asl_kit(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "asl_kit", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"asl-kit {' '.join(words)}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
