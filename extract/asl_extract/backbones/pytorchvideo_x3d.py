"""X3D (Feichtenhofer, CVPR 2020) from pytorchvideo.

Frames per clip and their distance are those of pytorchvideo's model zoo. The frame size is that of PySlowFast's
evaluation with one spatial crop (``configs/Kinetics/X3D_*.yaml``): the short side is the smallest training
scale, and the centre crop is that of training, which the pool in the head requires.
The feature is the 2,048 values before the classifier.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from asl_extract.backbones._pytorchvideo import MEAN, STD, cut_off_classifier, fit_pool, hub, published
from asl_extract.backbones.spec import BackboneSpec
from asl_extract.frames import ResizeRule


def _build(name: str, frame_size: int) -> nn.Module:
    network: Any = getattr(hub, name)(pretrained=False)
    head = network.blocks[-1]
    fit_pool(head.pool.pool, frame_size=frame_size)
    cut_off_classifier(head)
    built: nn.Module = network
    return built


def _x3d(name: str, *, clip_frames: int, frame_step: int, short_side: int, crop: int) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        clip_frames=clip_frames,
        resize=ResizeRule(short_side, crop, rounded=False),
        mean=MEAN,
        std=STD,
        feature_dim=2048,
        frame_step=frame_step,
        build=partial(_build, name),
        published=published(f"{name.upper()}.pyth"),
        classifier=("blocks.5.proj.",),
    )


BACKBONES = {
    "x3d_xs": _x3d("x3d_xs", clip_frames=4, frame_step=12, short_side=182, crop=160),
    "x3d_s": _x3d("x3d_s", clip_frames=13, frame_step=6, short_side=182, crop=160),
    "x3d_m": _x3d("x3d_m", clip_frames=16, frame_step=5, short_side=256, crop=224),
    "x3d_l": _x3d("x3d_l", clip_frames=16, frame_step=5, short_side=356, crop=312),
}
