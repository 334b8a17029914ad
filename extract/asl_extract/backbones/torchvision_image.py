"""torchvision's image networks, one feature per frame: ResNet, ViT, Swin and ConvNeXt, trained on ImageNet.

Resizing, interpolation, crop, mean and standard deviation are those of the weights' own ``transforms()``, which
resize uint8 images with antialiasing. The feature is the input of the last linear layer.
By default every frame gives a feature; ``--fps`` or ``--stride`` reduces their number.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule


def _only_frame(network: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Turn clips of one frame into images: (B, 3, 1, S, S) -> (B, 3, S, S)."""
    return (inputs[0].squeeze(2),)


def _build(name: str, classifier: str, frame_size: int) -> nn.Module:
    network: nn.Module = get_model(name, weights=None)
    network.set_submodule(classifier, nn.Identity())
    network.register_forward_pre_hook(_only_frame)
    return network


def _download(name: str) -> StateDict:
    state: StateDict = read_published(get_model_weights(name).DEFAULT.url)
    return state


def _network(
    name: str,
    *,
    short_side: int,
    feature_dim: int,
    classifier: str,
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
    fixed_size: bool = False,
) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        clip_frames=1,
        resize=ResizeRule(short_side, 224, rounded=True, interpolation=interpolation, antialias=True),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        feature_dim=feature_dim,
        frame_step=1,
        build=partial(_build, name, classifier),
        published=PublishedWeights(name=get_model_weights(name).DEFAULT.name, load=partial(_download, name)),
        classifier=(f"{classifier}.",),
        fixed_size=fixed_size,
    )


BACKBONES = {
    "resnet50": _network("resnet50", short_side=232, feature_dim=2048, classifier="fc"),
    "resnet101": _network("resnet101", short_side=232, feature_dim=2048, classifier="fc"),
    "vit_b_16": _network("vit_b_16", short_side=256, feature_dim=768, classifier="heads.head", fixed_size=True),
    "vit_l_16": _network("vit_l_16", short_side=242, feature_dim=1024, classifier="heads.head", fixed_size=True),
    "swin_t": _network("swin_t", short_side=232, feature_dim=768, classifier="head", interpolation="bicubic"),
    "swin_b": _network("swin_b", short_side=238, feature_dim=1024, classifier="head", interpolation="bicubic"),
    "convnext_tiny": _network("convnext_tiny", short_side=236, feature_dim=768, classifier="classifier.2"),
    "convnext_base": _network("convnext_base", short_side=232, feature_dim=1024, classifier="classifier.2"),
}
