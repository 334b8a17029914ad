"""SlowFast 8x8 (Feichtenhofer et al., ICCV 2019) from pytorchvideo.

32 frames, every second one, 256 pixels square: the model zoo's 8x8 models and the transform on
their torch.hub page. The fast pathway sees all 32 frames, the slow one every fourth (alpha = 4).
The feature is the classifier's input: the pooled slow (2,048) and fast (256) values, concatenated.
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
    pools, head = network.blocks[-2], network.blocks[-1]
    for pool in pools.pool:
        fit_pool(pool, frame_size=frame_size)
    cut_off_classifier(head)
    built: nn.Module = network
    return built


def _slowfast(name: str, file: str) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        clip_frames=32,
        resize=ResizeRule(256, 256, rounded=False),
        mean=MEAN,
        std=STD,
        feature_dim=2304,
        frame_step=2,
        build=partial(_build, name),
        published=published(file),
        classifier=("blocks.6.proj.",),
        two_pathways=True,
    )


BACKBONES = {
    "slowfast_r50": _slowfast("slowfast_r50", "SLOWFAST_8x8_R50.pyth"),
    "slowfast_r101": _slowfast("slowfast_r101", "SLOWFAST_8x8_R101.pyth"),
}
