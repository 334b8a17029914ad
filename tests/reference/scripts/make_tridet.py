"""Make the references of tests/reference/tridet, with TriDet's own code.

git clone https://github.com/dingfengshi/TriDet   (made at commit 764b816)
python make_tridet.py PATH_OF_THE_CLONE [CASE ...]

As make_actionformer.py, with which it shares what a case holds: one case for each of TriDet's configurations in small,
with its windows, bins, kernels and losses; `plain` is without the trident head, and `trained` a whole checkpoint as its
train.py writes it, after three steps.
"""

from __future__ import annotations

from typing import Any

import make_actionformer
import tridet_peer

DATASET = make_actionformer.DATASET | {"input_dim": 4}
MODEL = {
    "backbone_arch": [1, 1, 3],
    "regression_range": [[0, 4], [4, 8], [8, 16], [16, 10000]],
    "n_sgp_win_size": 1,
    "embd_dim": 16,
    "fpn_dim": 16,
    "head_dim": 16,
    "sgp_mlp_dim": 12,
    "head_num_layers": 2,
    "num_bins": 4,
}
OVERLAPPING = {"regression_range": [[0, 4], [2, 8], [4, 16], [8, 10000]]}
HACS = {"file_ext": ".npy", "default_fps": 15, "feat_stride": 8, "num_frames": 32}

CASES: dict[str, dict[str, Any]] = {
    "thumos_i3d": {
        "model": {"k": 5, "iou_weight_power": 0.2, "num_bins": 16, "input_noise": 0.0005},
        "test_cfg": {"min_score": 0.02, "voting_thresh": 0.7},
    },
    "anet_tsp": {
        "dataset_name": "anet",
        "dataset": {"file_prefix": "v_", "num_classes": 1, "num_frames": 4, "default_fps": 15},
        "model": {"n_sgp_win_size": 15, "k": 1.3, "head_dim": 24, "use_abs_pe": True, "num_bins": 12},
        "train_cfg": {"label_smoothing": 0.1, "init_loss_norm": 400},
        "test_cfg": {
            "multiclass_nms": False, "voting_thresh": 0.6, "nms_sigma": 0.7, "duration_thresh": 0.1,
            "ext_score_file": "scores.json",
        },
    },
    "hacs_slowfast": {
        "dataset_name": "hacs",
        "dataset": HACS | {"file_ext": ".pkl", "backbone_type": "slowfast"},
        "model": {
            "n_sgp_win_size": 3, "k": 1.2, "head_kernel_size": 5, "boudary_kernel_size": 1, "use_abs_pe": True,
        },
        "train_cfg": {"label_smoothing": 0.1},
        "test_cfg": {"nms_sigma": 0.75},
    },
    "hacs_i3d": {
        "dataset_name": "hacs",
        "dataset": HACS | {"feat_stride": 1, "num_frames": 1, "default_fps": 2, "backbone_type": "i3d"},
        "model": {
            "n_sgp_win_size": [1, 5, 3, 9], "k": 1.2, "head_kernel_size": 5, "boudary_kernel_size": 1,
            "use_abs_pe": True, "head_num_layers": 1,
        },
        "test_cfg": {"nms_sigma": 0.75},
    },
    "epic_slowfast_verb": {
        "dataset_name": "epic",
        "dataset": {"default_fps": 30, "file_ext": ".npz"},
        "model": OVERLAPPING | {"n_sgp_win_size": 5, "k": 2, "iou_weight_power": 0.25, "head_num_layers": 3},
        "test_cfg": {"nms_sigma": 0.4},
    },
    "epic_slowfast_noun": {
        "dataset_name": "epic",
        "dataset": {"default_fps": 30, "file_ext": ".npz"},
        "model": OVERLAPPING | {"k": 4, "iou_weight_power": 0.25, "backbone_arch": [1, 0, 3]},
        "train_cfg": {"label_smoothing": 0.1, "droppath": 0.0, "loss_weight": 2.0},
        "test_cfg": {"nms_sigma": 0.4, "pre_nms_thresh": 0.05},
    },
    "plain": {
        "model": {"n_sgp_win_size": 3, "use_trident_head": False, "iou_weight_power": 0.5},
        "train_cfg": {"center_sample": "none"},
        "test_cfg": {"multiclass_nms": False, "voting_thresh": 0.75},
    },
    "trained": {
        "model": {
            "backbone_arch": [1, 1, 1], "regression_range": [[0, 4], [4, 10000]], "head_num_layers": 1,
            "init_conv_vars": 0.3,
        },
    },
}  # fmt: skip


def configuration(name: str) -> dict[str, Any]:
    changes = CASES[name]
    tables = {
        "dataset": DATASET, "model": MODEL, "test_cfg": make_actionformer.TEST, "train_cfg": {"init_loss_norm": 100},
    }  # fmt: skip
    merged = {table: fields | changes.get(table, {}) for table, fields in tables.items()}
    if changes.get("dataset_name") == "hacs":  # whose reader knows no prefix
        del merged["dataset"]["file_prefix"]
    return {"dataset_name": changes.get("dataset_name", "thumos"), "val_split": ["test"], **merged}


if __name__ == "__main__":
    make_actionformer.main(tridet_peer, {name: configuration(name) for name in CASES}, {"trained": 3, "anet_tsp": 30})
