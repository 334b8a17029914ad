"""Make the reference arrays of tests/reference/actionformer, with ActionFormer's own code.

git clone https://github.com/happyharrycn/actionformer_release   (made at commit 61ea7eb)
python make_actionformer.py PATH_OF_THE_CLONE

Each file holds a small network's weights (all random, also those that start at
0 or 1), two videos of different lengths, and what ActionFormer computes from
them: logits, offsets, losses, and the detections before and after soft-NMS.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import torch

CASES = {
    "local": {"n_mha_win_size": 9, "use_abs_pe": False},
    "global": {"n_mha_win_size": -1, "use_abs_pe": False},
    "position": {"n_mha_win_size": 5, "use_abs_pe": True},
}
DIMS, CLASSES, WIDTH, LEVELS, LONGEST = 6, 3, 16, 4, 64
LENGTHS = (55, 37)  # a coarse step below LONGEST: beyond it ActionFormer has no padding left on the top level


def build(options: dict) -> torch.nn.Module:
    from libs.core.config import load_default_config
    from libs.modeling import make_meta_arch

    config = load_default_config()
    model = dict(
        config["model"],
        backbone_arch=(2, 1, LEVELS - 1),
        regression_range=[(0, 4), (4, 8), (8, 16), (16, 10000)],
        embd_dim=WIDTH,
        fpn_dim=WIDTH,
        head_dim=WIDTH,
        input_dim=DIMS,
        num_classes=CLASSES,
        max_seq_len=LONGEST,
        train_cfg=dict(config["train_cfg"], init_loss_norm=100),
        test_cfg=dict(config["test_cfg"], pre_nms_topk=2000, voting_thresh=0.7, min_score=0.001, max_seg_num=200),
        **options,
    )
    return make_meta_arch("LocPointTransformer", **model)


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    sys.modules["nms_1d_cpu"] = types.ModuleType("nms_1d_cpu")  # the C++ part; not needed for what is kept here
    target = Path(__file__).parent.parent / "actionformer"
    target.mkdir(exist_ok=True)
    for name, options in CASES.items():
        torch.manual_seed(0)
        model = build(options)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        for module in model.modules():
            if hasattr(module, "drop_prob"):
                module.drop_prob = 0.0
        videos = []
        for index, length in enumerate(LENGTHS):
            generator = np.random.default_rng(index)
            start = np.sort(generator.uniform(0, length * 0.8, 5))
            segments = np.stack((start, np.minimum(start + generator.uniform(1, 30, 5), length - 1)), 1)
            segments[1] = segments[0] + 5e-4  # as long as another, of another class: both are targets
            videos.append(
                {
                    "feats": torch.from_numpy(generator.normal(size=(DIMS, length))).float(),
                    "segments": torch.from_numpy(segments).float(),
                    "labels": torch.tensor([0, 1, 2, 0, 1]),
                }
            )
        arrays = {f"weights.{key}": value.numpy() for key, value in model.state_dict().items()}
        model.train()
        losses = model(videos)
        arrays |= {key: value.detach().numpy() for key, value in losses.items()}
        model.eval()
        with torch.no_grad():
            for index, video in enumerate(videos):
                features, masks = model.preprocessing([video])
                pyramid, masks = model.neck(*model.backbone(features, masks))
                logits = torch.cat([x[0].T for x in model.cls_head(pyramid, masks)])
                offsets = torch.cat([x[0].T for x in model.reg_head(pyramid, masks)])
                valid = torch.cat([m[0, 0] for m in masks])
                arrays |= {
                    f"features_{index}": video["feats"].numpy(),
                    f"segments_{index}": video["segments"].numpy(),
                    f"labels_{index}": video["labels"].numpy(),
                    f"logits_{index}": logits[valid].numpy(),
                    f"offsets_{index}": offsets[valid].numpy(),
                }
                candidates = model.inference_single_video(
                    model.point_generator(pyramid),
                    [m[0, 0] for m in masks],
                    [x[0].T for x in model.cls_head(pyramid, masks)],
                    [x[0].T for x in model.reg_head(pyramid, masks)],
                )
                arrays |= {f"candidate_{key}_{index}": value.numpy() for key, value in candidates.items()}
        np.savez_compressed(target / f"{name}.npz", **arrays)
        print(name, {key: round(float(value), 6) for key, value in losses.items()})


if __name__ == "__main__":
    main()
