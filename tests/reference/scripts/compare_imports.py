"""Run ActionFormer or TriDet and its import side by side: published configurations at full size, and random small ones.

git clone https://github.com/happyharrycn/actionformer_release   (compared at commit 61ea7eb)
git clone https://github.com/dingfengshi/TriDet                  (compared at commit 764b816)
python compare_imports.py PATH_OF_THE_CLONE [--from tridet] [--configs NAME,...] [--random 40]

For each configuration: the program's network with random weights, saved as its train.py does, imported by
`asl-kit import-checkpoint`; three videos, shorter than, as long as and longer than a training sequence. Prints the
largest differences of logits, offsets and losses, and the detections of the program that have no equal here (same
class, ends within 1 ms, score within 1e-4). ActivityNet's configurations learn one class: their detections are compared
after both have taken the classes from scores of whole videos, for 200 classes. They are compared once more with 200
classes learned and without such scores.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import io
import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from asl_evaluate.checkpoint_detections import detect_split
from asl_evaluate.video_score_files import read_video_scores
from asl_evaluate.video_scores import fuse_tables
from asl_kit.annotations import AnnotationSet
from asl_kit.checkpoint.ensemble import Ensemble
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint_import import import_checkpoint
from asl_kit.errors import AslKitError
from asl_kit.feature_import import ImportSettings, import_features
from asl_kit.model.objective import Objective
from asl_train.sequences import TrainingSequence, collate

ONE_CLASS_OF = 200
"""Classes of the annotations where a network learns one class."""


def compare(peer: ModuleType, fields: dict[str, Any]) -> str:
    """Return a row of the table for one configuration, as read from a file."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        folder = Path(name)
        peer.write_yaml(folder / "config.yaml", fields)
        config = peer.load_config(folder / "config.yaml")
        try:
            return _compare(peer, folder, config)
        except AslKitError as fault:
            return f"refused: {fault.message}".replace(str(folder), "")
        finally:
            os.chdir("/")


def _compare(peer: ModuleType, folder: Path, config: dict[str, Any]) -> str:
    data, longest = config["dataset"], config["dataset"]["max_seq_len"]
    count = ONE_CLASS_OF if data["num_classes"] == 1 else data["num_classes"]
    longer = min(1.3, config["model"]["max_buffer_len_factor"])  # beyond its buffer of points, the program fails
    peer.write_data(folder, config, [int(longest * 0.61), longest, int(longest * longer)], classes=count)
    videos = peer.read_videos(config)
    model = peer.build(config)
    path = folder / "epoch_001.pth.tar"
    peer.save(model, path, config, steps=0, videos=[])

    documents = {
        video["video_id"]: {
            "split": "test",
            "duration": float(video["duration"]),
            "fps": float(video["fps"]),
            "segments": [{"start": 0.1, "end": 0.2, "labels": {"action": "class 0"}}],
        }
        for video in videos
    }
    classes = [f"class {number}" for number in range(count)]
    head = {"dataset": "own", "source": {"converter": "csv", "asl_kit": "0"}, "vocabularies": {"action": classes}}
    annotations = AnnotationSet.model_validate(head | {"videos": documents})
    (folder / "ours.json").write_text(annotations.model_dump_json())
    places = data["feat_folder"] if isinstance(data["feat_folder"], list) else [data["feat_folder"]]
    stores = [folder / f"{number}.zarr" for number in range(len(places))]
    for place, store in zip(places, stores, strict=True):
        import_features(
            folder / place,
            store,
            ImportSettings(
                window_frames=data["num_frames"],
                stride_frames=data["feat_stride"],
                fps=data["default_fps"],
                dtype="float32",
            ),
            annotations=folder / "ours.json",
        )
    import_checkpoint(
        path,
        folder / "ours.ckpt",
        source=peer.PROGRAM,
        config=folder / "config.yaml",
        annotations=folder / "ours.json",
        features=stores,
    )
    path.unlink()
    checkpoint = load_checkpoint(folder / "ours.ckpt")
    network = checkpoint.build()
    tables, _ = detect_split(
        Ensemble((folder / "ours.ckpt",), (checkpoint,)), annotations, stores, split="test", device="cpu"
    )
    detections = {video["video_id"]: peer.outputs(model, video) for video in videos}
    kind = "detected"
    if config["test_cfg"]["ext_score_file"] is not None:
        kind = "fused"
        peer.write_scores(folder / "scores.json", list(detections), count)
        tables = fuse_tables(tables, read_video_scores(folder / "scores.json"))
        for video_id, of_video in peer.fused(detections, folder / "scores.json").items():
            detections[video_id] |= of_video
    (found,) = tables.by_vocabulary.values()

    sequences = [
        TrainingSequence(video["feats"].T.contiguous(), video["segments"].float(), video["labels"][:, None])
        for video in videos
    ]
    worst = {"logits": 0.0, "offsets": 0.0}
    detected = alone = 0
    for index, (video, sequence) in enumerate(zip(videos, sequences, strict=True)):
        theirs = detections[video["video_id"]]
        batch = collate([sequence], [video["video_id"]], network.padded_length)
        with torch.no_grad():
            output = network(batch.features, batch.mask)
        points, labels = torch.broadcast_tensors(output.mask[0].nonzero(), torch.arange(output.logits.shape[2]))
        of_classes = output.reading.at(
            output.offsets, output.points.sizes, torch.zeros_like(points), points, labels
        ).numpy()
        their_offsets = theirs["offsets"].reshape(len(points), -1, 2)  # ActionFormer's are of no class
        logits = output.logits[0][output.mask[0]].numpy()
        for key, difference in (("logits", logits - theirs["logits"]), ("offsets", of_classes - their_offsets)):
            worst[key] = max(worst[key], float(np.abs(difference).max()))
        mine = found.video == found.video_ids.index(video["video_id"])
        numbers = np.array([classes.index(label) for label in found.class_names])
        table = np.stack(
            [found.start_s[mine], found.end_s[mine], found.score[mine], numbers[found.label[mine]]], axis=1
        )
        keys = (f"{kind}_segments", f"{kind}_scores", f"{kind}_labels")
        detected += len(theirs[f"{kind}_scores"])
        alone += unmatched(
            np.concatenate([theirs[key].reshape(-1, 2 if "seg" in key else 1) for key in keys], 1), table
        )
        print(f"    video {index}: {int(mine.sum())} and {len(theirs[f'{kind}_scores'])} detections", flush=True)

    fitting = [index for index, video in enumerate(videos) if video["feats"].shape[1] <= longest]
    their_losses = peer.losses(model, [videos[index] for index in fitting])
    network.train()
    network.drop_path = network.input_noise = 0.0
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    objective = Objective(checkpoint.recipe, [len(checkpoint.class_names)]).train()
    batch = collate([sequences[index] for index in fitting], [""] * len(fitting), network.padded_length)
    with torch.no_grad():
        losses = objective(network(batch.features, batch.mask), batch.truth)
    pairs = {"classification": "cls_loss", "localization": "reg_loss", "total": "final_loss"}
    difference = max(abs(float(losses[ours]) - their_losses[theirs]) for ours, theirs in pairs.items())
    size = sum(value.numel() for value in checkpoint.weights.values()) / 1e6
    return (
        f"{size:.1f} M values; logits {worst['logits']:.1e}, offsets {worst['offsets']:.1e},"
        f" losses {difference:.1e} of {their_losses['final_loss']:.3f}; detections {detected}, without an equal {alone}"
    )


def unmatched(theirs: np.ndarray, ours: np.ndarray) -> int:
    """Return how many of their detections (start, end, score, class) have no equal among ours, one for one."""
    free = np.ones(len(ours), dtype=bool)
    alone = abs(len(ours) - len(theirs))
    tolerance = np.array([1e-3, 1e-3, 1e-4, 0.1])
    for row in theirs:
        equal = np.flatnonzero(free & (np.abs(ours - row) <= tolerance).all(axis=1))
        if len(equal):
            free[equal[0]] = False
        else:
            alone += 1
    return alone


def random_tridet_fields(random: np.random.Generator) -> dict[str, Any]:
    """Return a small configuration of TriDet's of randomly chosen settings."""

    def choose(*values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    fields = random_fields(random)
    levels, classes = fields["model"]["backbone_arch"][2] + 1, choose(1, 2, 3, 6)
    window = choose(1, 3, 5, 15)
    fields["dataset_name"] = "anet" if classes == 1 else choose("thumos", "epic")
    resized = classes == 1 and choose(True, False)
    fields["dataset"] |= {
        "feat_folder": "a", "input_dim": 9, "num_classes": classes, "default_fps": 25 if classes == 1 else 30,
        "max_seq_len": 2 ** (levels - 1) * choose(1, 3, 5) * -(-24 // 2 ** (levels - 1)),
        "file_ext": ".npz" if fields["dataset_name"] == "epic" else ".npy", "force_upsampling": resized,
    }  # fmt: skip
    if resized:
        fields["dataset"]["num_frames"] = fields["dataset"]["feat_stride"]
    for key in ("n_head", "n_mha_win_size"):
        del fields["model"][key]
    fields["model"] |= {
        "n_sgp_win_size": window, "k": choose(1, 1.3, 1.5, 2, 5), "sgp_mlp_dim": choose(8, 32),
        "num_bins": choose(1, 4, 16),
        "embd_dim": 16, "fpn_dim": 16, "head_dim": 16 if fields["model"]["head_num_layers"] == 1 else choose(16, 24),
        "head_kernel_size": choose(1, 3, 5), "boudary_kernel_size": choose(1, 3, 5),
        "use_trident_head": choose(True, True, False), "iou_weight_power": choose(0.2, 1),
        "input_noise": choose(0, 0.5),
    }  # fmt: skip
    fields["test_cfg"]["ext_score_file"] = "scores.json" if classes == 1 else None
    return fields


def random_fields(random: np.random.Generator) -> dict[str, Any]:
    """Return a small configuration of ActionFormer's of randomly chosen settings."""

    def choose(*values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    levels = choose(1, 2, 3, 4, 5)
    window = choose(-1, 0, 5, 9, 6, [choose(-1, 5, 9) for _ in range(levels)])
    blocks = [
        2**level * (size // 2 * 2 if size > 1 else 1)
        for level, size in enumerate(window if isinstance(window, list) else [window] * levels)
    ]
    longest = int(np.lcm.reduce(blocks)) * choose(1, 2, 3)
    longest *= max(1, -(-24 // longest))
    overlap = choose(1, 2)
    ranges = [[0 if level == 0 else 4 * 2 ** (level - 1) // overlap, 4 * 2**level] for level in range(levels)]
    ranges[-1][1] = 10000
    name = choose("thumos", "ego4d", "anet")
    streams = name == "ego4d" and choose(True, False)
    projected = streams and choose(True, False)
    width = choose(8, 16)
    stride = choose(1, 4, 16)
    classes = choose(1, 2, 3, 6) if name == "anet" else choose(2, 3, 6)
    return {
        "dataset_name": name,
        "dataset": {
            "json_file": "annotations.json",
            "feat_folder": ["a", "b"] if streams else "a",
            "file_prefix": None,
            "file_ext": ".npy",
            "num_classes": classes,
            "input_dim": [5, 4] if projected else 9,
            "feat_stride": stride,
            "num_frames": stride if name == "anet" else choose(stride, 4 * stride),
            "default_fps": 25 if name == "anet" else choose(None, 30),
            "max_seq_len": longest,
            "force_upsampling": name == "anet",
        },
        "model": {
            "backbone_arch": [choose(1, 2), choose(0, 1, 2), levels - 1],
            "regression_range": ranges,
            "n_mha_win_size": window,
            "n_head": choose(1, 2, 4),
            "embd_dim": [width - 3, 3] if projected else width,
            "fpn_dim": width,
            "head_dim": width,
            "head_num_layers": choose(1, 2, 3),
            "use_abs_pe": choose(True, False),
        },
        "train_cfg": {
            "center_sample": choose("radius", "none"),
            "center_sample_radius": choose(1.0, 1.5, 2.5),
            "loss_weight": choose(0.5, 1.0, 2.0),
            "init_loss_norm": choose(20, 100),
            "droppath": choose(0.0, 0.1),
            "dropout": choose(0.0, 0.1),
            "label_smoothing": choose(0.0, 0.1),
        },
        "test_cfg": {
            "pre_nms_thresh": choose(0.001, 0.05),
            "pre_nms_topk": choose(20, 2000),
            "min_score": choose(0.001, 0.01, 0.1),
            "max_seg_num": choose(10, 100, 2000),
            "nms_sigma": choose(0.3, 0.5, 0.9),
            "duration_thresh": choose(0.001, 0.05, 2.0),
            "multiclass_nms": choose(True, False),
            "voting_thresh": choose(-1, 0.5, 0.75, 0.9),
            "ext_score_file": "scores.json" if classes == 1 else None,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=lambda text: Path(text).resolve())
    parser.add_argument("--configs", help="Names, comma-separated. Default: all.")
    parser.add_argument("--random", type=int, default=40, help="How many random configurations.")
    parser.add_argument("--from", dest="program", choices=["actionformer", "tridet"], default="actionformer")
    options = parser.parse_args()
    peer = importlib.import_module(f"{options.program}_peer")
    draw = random_tridet_fields if options.program == "tridet" else random_fields
    peer.use_clone(options.clone)
    import yaml

    rows: list[tuple[str, dict[str, Any]]] = []
    names = options.configs.split(",") if options.configs is not None else None
    for path in sorted((options.clone / "configs").glob("*.yaml")):
        if names is not None and path.stem not in names:
            continue
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        rows.append((path.stem, fields))
        if fields["test_cfg"].get("ext_score_file"):
            changed = copy.deepcopy(fields)
            changed["test_cfg"]["ext_score_file"] = None
            changed["dataset"]["num_classes"] = 200
            rows.append((f"{path.stem}, 200 classes", changed))
    random = np.random.default_rng(0)
    rows += [(f"random {number}", draw(random)) for number in range(options.random)]
    for name, fields in rows:
        with contextlib.redirect_stderr(io.StringIO()):
            row = compare(peer, fields)
        print(f"{name}: {row}", flush=True)


if __name__ == "__main__":
    main()
