"""torchvision's video networks: R3D, MC3, R(2+1)D, S3D, MViT and Video Swin.

Frame size, mean and standard deviation are those of the weights' own ``transforms()``; frames per clip
and their distance are those of the evaluation in the documentation of the weights
(``clip_len`` frames at ``frame_rate``, here at 30 fps). S3D is the exception: it takes 64 frames, as in
training, although its documentation evaluates clips of 128.
The feature is the input of the last linear layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchvision.models import get_model, get_model_weights

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule

Colour = tuple[float, float, float]

# Mean and standard deviation of each colour channel.
_KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SLOWFAST = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)


def _build(name: str, classifier: str, frame_size: int) -> nn.Module:
    network: Any = get_model(name, weights=None)
    setattr(network, classifier, nn.Identity())
    if name == "s3d":
        # Its 7 x 7 pool covers the whole map at 224 pixels; smaller frames have a smaller map.
        time, height, width = network.avgpool.kernel_size
        map_size = -(-frame_size // 16) // 2  # its last reduction rounds down
        network.avgpool.kernel_size = (time, min(height, map_size), min(width, map_size))
    built: nn.Module = network
    return built


def _download(name: str) -> StateDict:
    state: StateDict = read_published(get_model_weights(name).DEFAULT.url)
    return state


def _network(
    name: str,
    *,
    clip_frames: int,
    frame_step: int,
    resize: ResizeRule,
    colours: tuple[Colour, Colour],
    feature_dim: int,
    classifier: str,
    fixed_size: bool = False,
) -> BackboneSpec:
    build: Callable[[int], nn.Module] = partial(_build, name, classifier)
    return BackboneSpec(
        name=name,
        clip_frames=clip_frames,
        resize=resize,
        mean=colours[0],
        std=colours[1],
        feature_dim=feature_dim,
        frame_step=frame_step,
        build=build,
        published=PublishedWeights(name=get_model_weights(name).DEFAULT.name, load=partial(_download, name)),
        classifier=(f"{classifier}.",),
        fixed_size=fixed_size,
    )


def _resnet(name: str) -> BackboneSpec:
    return _network(
        name,
        clip_frames=16,
        frame_step=2,
        resize=ResizeRule((128, 171), 112, rounded=True),
        colours=_KINETICS,
        feature_dim=512,
        classifier="fc",
    )


def _swin(name: str, feature_dim: int) -> BackboneSpec:
    return _network(
        name,
        clip_frames=32,
        frame_step=2,
        resize=ResizeRule(256, 224, rounded=True),
        colours=_IMAGENET,
        feature_dim=feature_dim,
        classifier="head",
    )


def _mvit(name: str) -> BackboneSpec:
    return _network(
        name,
        clip_frames=16,
        frame_step=4,
        resize=ResizeRule(256, 224, rounded=True),
        colours=_SLOWFAST,
        feature_dim=768,
        classifier="head",
        fixed_size=True,
    )


BACKBONES = {
    "r3d_18": _resnet("r3d_18"),
    "mc3_18": _resnet("mc3_18"),
    "r2plus1d_18": _resnet("r2plus1d_18"),
    "s3d": _network(
        "s3d",
        clip_frames=64,
        frame_step=2,
        resize=ResizeRule((256, 256), 224, rounded=True),
        colours=_KINETICS,
        feature_dim=1024,
        classifier="classifier",
    ),
    "mvit_v1_b": _mvit("mvit_v1_b"),
    "mvit_v2_s": _mvit("mvit_v2_s"),
    "swin3d_t": _swin("swin3d_t", 768),
    "swin3d_s": _swin("swin3d_s", 768),
    "swin3d_b": _swin("swin3d_b", 1024),
}
