"""Make the references of tests/reference/actionformer, with ActionFormer's own code.

git clone https://github.com/happyharrycn/actionformer_release   (made at commit 61ea7eb)
python make_actionformer.py PATH_OF_THE_CLONE [CASE ...]

It needs pandas, joblib, h5py and a C++ compiler beside asl-kit's packages. For each case, a small network and three
videos (shorter than, as long as, and longer than a training sequence): the configuration, and an .npz file with the
weights, the features and what ActionFormer computes of them: logits, offsets, detections, and the losses of two
steps. `trained` is a whole checkpoint as its train.py writes it, after three steps. `one_class` is its ActivityNet
configuration in small, after thirty steps: one class is learned, and scores of whole videos name the classes of the
detections.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import actionformer_peer
import numpy as np
import torch

LENGTHS = [55, 64, 150]
CLASSES = 3
STEPS = {"trained": 3, "one_class": 30}
DATASET = {
    "json_file": "annotations.json",
    "feat_folder": "features",
    "file_prefix": None,
    "file_ext": ".npy",
    "num_classes": CLASSES,
    "input_dim": 6,
    "feat_stride": 4,
    "num_frames": 16,
    "max_seq_len": 64,
}
MODEL = {
    "backbone_arch": [2, 1, 3],
    "regression_range": [[0, 4], [4, 8], [8, 16], [16, 10000]],
    "n_mha_win_size": 9,
    "embd_dim": 8,
    "fpn_dim": 8,
    "head_dim": 8,
    "n_head": 2,
}
TEST = {"min_score": 0.001, "pre_nms_topk": 300, "max_seg_num": 50}
OVERLAPPING = [[0, 4], [2, 8], [4, 16], [8, 32], [16, 10000]]

CASES: dict[str, dict[str, dict[str, Any]]] = {
    "local": {"test_cfg": {"min_score": 0.02, "duration_thresh": 2.5}},
    "global": {"model": {"n_mha_win_size": -1, "n_head": 4}, "test_cfg": {"pre_nms_thresh": 0.05}},
    "position": {
        "model": {"n_mha_win_size": 5, "use_abs_pe": True},
        "test_cfg": {"multiclass_nms": False, "voting_thresh": 0.6, "nms_sigma": 0.9},
    },
    "levels": {
        "model": {"n_mha_win_size": [5, 9, 5, -1], "use_abs_pe": True},
        "train_cfg": {"label_smoothing": 0.1, "loss_weight": 2.0, "droppath": 0.0, "init_loss_norm": 40},
        "test_cfg": {"multiclass_nms": False, "voting_thresh": 0.9, "nms_sigma": 0.75},
    },
    "streams": {
        "dataset": {"feat_folder": ["first", "second"], "input_dim": [6, 4], "default_fps": 30},
        "model": {
            "backbone_arch": [1, 2, 4],
            "regression_range": OVERLAPPING,
            "n_mha_win_size": 5,
            "embd_dim": [5, 3],
            "head_num_layers": 2,
        },
        "train_cfg": {"center_sample": "none", "dropout": 0.1},
        "test_cfg": {"nms_sigma": 0.4},
    },
    "resized": {
        "dataset": {"file_prefix": "v_", "num_frames": 4, "default_fps": 25, "force_upsampling": True},
        "model": {"max_buffer_len_factor": 1.0, "use_abs_pe": True},
        "test_cfg": {"multiclass_nms": False},
    },
    "one_class": {
        "dataset": {
            "file_prefix": "v_",
            "num_classes": 1,
            "num_frames": 4,
            "default_fps": 15,
            "crop_ratio": [0.9, 1.0],
            "force_upsampling": True,
        },
        "model": {"max_buffer_len_factor": 1.0, "n_mha_win_size": [5, 5, 5, -1], "use_abs_pe": True},
        "train_cfg": {"clip_grad_l2norm": 1.0, "label_smoothing": 0.1, "loss_weight": 2.0, "init_loss_norm": 200},
        "test_cfg": {
            "multiclass_nms": False,
            "voting_thresh": 0.9,
            "nms_sigma": 0.75,
            "duration_thresh": 0.001,
            "ext_score_file": "scores.json",
        },
    },
    "trained": {
        "model": {"backbone_arch": [1, 1, 2], "regression_range": [[0, 4], [4, 8], [8, 10000]], "head_num_layers": 2}
    },
}


def configuration(name: str) -> dict[str, Any]:
    changes = CASES[name]
    dataset_name = {"streams": "ego4d", "resized": "anet", "one_class": "anet"}.get(name, "thumos")
    tables = {"dataset": DATASET, "model": MODEL, "test_cfg": TEST, "train_cfg": {"init_loss_norm": 100}}
    merged = {table: fields | changes.get(table, {}) for table, fields in tables.items()}
    return {"dataset_name": dataset_name, "val_split": ["test"], **merged}


def main(peer: ModuleType, configurations: dict[str, dict[str, Any]], trained_steps: dict[str, int]) -> None:
    """Make the references of a program, given its code, the configuration of each case, and steps of training."""
    peer.use_clone(Path(sys.argv[1]).resolve())
    target = Path(__file__).resolve().parent.parent / peer.PROGRAM
    target.mkdir(exist_ok=True)
    for name in sys.argv[2:] or configurations:
        peer.write_yaml(target / f"{name}.yaml", configurations[name])
        config = peer.load_config(target / f"{name}.yaml")
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            peer.write_data(Path(folder), config, LENGTHS, classes=CLASSES)
            videos = peer.read_videos(config)
            arrays: dict[str, np.ndarray] = {}
            model = peer.build(config)
            fitting = [video for video in videos if video["feats"].shape[1] <= config["dataset"]["max_seq_len"]]
            if name == "one_class":
                fitting = videos  # all are resized
            if name in trained_steps:
                path = Path(folder) / "epoch_001.pth.tar"
                peer.save(model, path, config, steps=trained_steps[name], videos=fitting)
                kept = "state_dict_ema" if name == "trained" else "state_dict"
                state = torch.load(path, weights_only=True)[kept]
                model.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
            if name == "trained":
                (target / "trained.pth.tar.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            else:
                state = model.state_dict()
                arrays["names"] = np.array(json.dumps({key: list(value.shape) for key, value in state.items()}))
                precision = "f4" if name in trained_steps else "f2"
                arrays["weights"] = np.concatenate([value.numpy().ravel() for value in state.values()]).astype(
                    precision
                )
            model.loss_normalizer = config["train_cfg"]["init_loss_norm"]  # a checkpoint does not hold it
            for step in range(2):
                for key, value in peer.losses(model, fitting).items():
                    arrays[f"{key}_{step}"] = np.float64(value)
            detected = {video["video_id"]: peer.outputs(model, video) for video in videos}
            if config["test_cfg"]["ext_score_file"] is not None:
                peer.write_scores(Path("scores.json"), list(detected), CLASSES)
                arrays["video_scores"] = np.array(Path("scores.json").read_text(encoding="utf-8"))
                for video_id, found in peer.fused(detected, Path("scores.json")).items():
                    detected[video_id] |= found
            for index, video in enumerate(videos):
                for stream, values in enumerate(peer.read_features(config, video)):
                    arrays[f"features_{index}_{stream}"] = values.astype(np.float16)
                arrays |= {
                    f"segments_{index}": video["segments"].numpy(),
                    f"labels_{index}": video["labels"].numpy(),
                    f"duration_{index}": np.float64(video["duration"]),
                    f"fps_{index}": np.float64(video["fps"]),
                }
                arrays |= {f"{key}_{index}": value for key, value in detected[video["video_id"]].items()}
            np.savez_compressed(target / f"{name}.npz", **arrays)
        found = [len(arrays[f"detected_scores_{index}"]) for index in range(len(videos))]
        print(name, f"{arrays['final_loss_0']:.6f}, {arrays['final_loss_1']:.6f}; detections: {found}")


if __name__ == "__main__":
    main(actionformer_peer, {name: configuration(name) for name in CASES}, STEPS)
