"""Omnivore (Girdhar et al., CVPR 2022): Video Swin Transformers that are trained on images, videos and depth together.

https://github.com/facebookresearch/omnivore at 1d55abd: the sizes are those of `omnivore/models/omnivore_model.py`, and
the network is torchvision's, whose names of parameters differ. The weights are under CC BY-NC 4.0.
The input is that of Ego4D's features (https://github.com/facebookresearch/Ego4d at a44f40b,
`ego4d/features/configs/omnivore_video.yaml` and `ego4d/features/models/omnivore.py`): short side 256, resized in
floating point, centre crop 224, and windows of 32 frames of a video at 30 frames per second.
The feature is what the heads are given: the mean of all tokens, normalised.
"""

from __future__ import annotations

import re
from functools import partial

from torch import nn
from torchvision.models.video.swin_transformer import SwinTransformer3d

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule

_URL = "https://dl.fbaipublicfiles.com/omnivore/models/"

# The authors' names, and torchvision's.
_RENAMED = (
    (r"^layers\.(\d+)\.blocks\.", lambda found: f"features.{2 * int(found[1])}."),
    (r"^layers\.(\d+)\.downsample\.", lambda found: f"features.{2 * int(found[1]) + 1}."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
)


def build(width: int, *, depths: list[int], heads: list[int], window: list[int]) -> nn.Module:
    """Return the network without a head: (B, 3, T, S, S) -> (B, 8 width)."""
    network: nn.Module = SwinTransformer3d(
        patch_size=[2, 4, 4], embed_dim=width, depths=depths, num_heads=heads, window_size=window
    )
    network.head = nn.Identity()
    return network


def convert(state: StateDict) -> StateDict:
    """Return the authors' tensors under torchvision's names."""
    converted = {}
    for name, tensor in state.items():
        for old, new in _RENAMED:
            name = re.sub(old, new, name)
        converted[name] = tensor
    return converted


def _download(file: str) -> StateDict:
    state: StateDict = read_published(_URL + file)["trunk"]
    return state


# Width, depths, heads, window, published file.
_SIZES = {
    "omnivore_swin_t": (96, [2, 2, 6, 2], [3, 6, 12, 24], [8, 7, 7], "swinT_checkpoint.torch"),
    "omnivore_swin_s": (96, [2, 2, 18, 2], [3, 6, 12, 24], [8, 7, 7], "swinS_checkpoint.torch"),
    "omnivore_swin_b": (128, [2, 2, 18, 2], [4, 8, 16, 32], [16, 7, 7], "swinB_checkpoint.torch"),
    "omnivore_swin_l": (192, [2, 2, 18, 2], [6, 12, 24, 48], [8, 7, 7], "swinL_In21k_checkpoint.torch"),
}


def _build(name: str, frame_size: int) -> nn.Module:
    width, depths, heads, window, _ = _SIZES[name]
    return build(width, depths=depths, heads=heads, window=window)


def _omnivore(name: str) -> BackboneSpec:
    width, *_, file = _SIZES[name]
    return BackboneSpec(
        name=name,
        clip_frames=32,
        resize=ResizeRule(256, 224, rounded=False),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        feature_dim=8 * width,
        frame_step=1,
        build=partial(_build, name),
        convert=convert,
        published=PublishedWeights(name=file, load=partial(_download, file)),
        classifier=("depth_patch_embed.", "head."),
    )


BACKBONES = {name: _omnivore(name) for name in _SIZES}
