"""CSN, channel-separated networks (Tran et al., ICCV 2019), ResNet-101, from pytorchvideo.

32 frames, every second one: the model zoo's 32x2 model. 256 pixels square, which the GFLOPs in its table
imply (75.6; 224 pixels would take 56); mean and standard deviation are those of all its networks.
The feature is the 2,048 values before the classifier.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from asl_extract.backbones._pytorchvideo import MEAN, STD, cut_off_classifier, fit_pool, hub, published
from asl_extract.backbones.spec import BackboneSpec
from asl_extract.frames import ResizeRule


def _build(frame_size: int) -> nn.Module:
    network: Any = hub.csn_r101(pretrained=False)
    head = network.blocks[-1]
    fit_pool(head.pool, frame_size=frame_size)
    cut_off_classifier(head)
    built: nn.Module = network
    return built


BACKBONES = {
    "csn_r101": BackboneSpec(
        name="csn_r101",
        clip_frames=32,
        resize=ResizeRule(256, 256, rounded=False),
        mean=MEAN,
        std=STD,
        feature_dim=2048,
        frame_step=2,
        build=_build,
        published=published("CSN_32x2_R101.pyth"),
        classifier=("blocks.5.proj.",),
    )
}
