"""Slow (Feichtenhofer et al., ICCV 2019) and I3D (Carreira and Zisserman, CVPR 2017), ResNet-50, from pytorchvideo.

Both take 8 frames, every eighth one, 256 pixels square: the model zoo's 8x8 models and the
transform on their torch.hub page. The feature is the 2,048 values before the classifier.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from asl_extract.backbones._pytorchvideo import MEAN, STD, cut_off_classifier, fit_pool, hub, published
from asl_extract.backbones.spec import BackboneSpec
from asl_extract.frames import ResizeRule


def _build(name: str, head_block: int, frame_size: int) -> nn.Module:
    network: Any = getattr(hub, name)(pretrained=False)
    head = network.blocks[head_block]
    fit_pool(head.pool, frame_size=frame_size)
    cut_off_classifier(head)
    built: nn.Module = network
    return built


def _resnet(name: str, file: str, *, head_block: int) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        clip_frames=8,
        resize=ResizeRule(256, 256, rounded=False),
        mean=MEAN,
        std=STD,
        feature_dim=2048,
        frame_step=8,
        build=partial(_build, name, head_block),
        published=published(file),
        classifier=(f"blocks.{head_block}.proj.",),
    )


BACKBONES = {
    "slow_r50": _resnet("slow_r50", "SLOW_8x8_R50.pyth", head_block=5),
    "i3d_r50": _resnet("i3d_r50", "I3D_8x8_R50.pyth", head_block=6),  # it has a pool between two stages
}
