"""Prepared frames against the publishers' own transforms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torchvision.models import get_model_weights

from asl_extract.backbones import get_backbone
from asl_extract.frames import FramePreparer, ResizeRule

SIZES = [(240, 320), (272, 640), (320, 180), (128, 171), (47, 61)]


def random_frames(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)


def prepare(name: str, frames: NDArray[np.uint8]) -> torch.Tensor:
    spec = get_backbone(name)
    preparer = FramePreparer(rule=spec.resize, mean=spec.mean, std=spec.std, device=torch.device("cpu"))
    return preparer(frames).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize(
    "name", ["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b"]
)
def test_equals_torchvisions_transform(name: str, size: tuple[int, int]) -> None:
    frames = random_frames(*size)
    theirs = get_model_weights(name).DEFAULT.transforms()(torch.from_numpy(frames).permute(0, 3, 1, 2))  # (3, T, S, S)
    torch.testing.assert_close(prepare(name, frames), theirs.transpose(0, 1), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize("name", ["x3d_xs", "slow_r50"])
def test_equals_pytorchvideos_transform(name: str, size: tuple[int, int]) -> None:
    # The transform of their torch.hub pages: scale to [0, 1], NormalizeVideo, ShortSideScale, CenterCropVideo,
    # written out here in their order, because pytorchvideo.transforms does not import with today's torchvision.
    height, width = size
    side, crop = {"x3d_xs": (182, 160), "slow_r50": (256, 256)}[name]
    frames = random_frames(height, width)
    video = torch.from_numpy(frames).permute(3, 0, 1, 2) / 255.0  # (3, T, H, W)
    video = (video - 0.45) / 0.225
    if width < height:
        new_height, new_width = math.floor((height / width) * side), side
    else:
        new_height, new_width = side, math.floor((width / height) * side)
    video = F.interpolate(video, size=(new_height, new_width), mode="bilinear", align_corners=False)
    top, left = round((new_height - crop) / 2.0), round((new_width - crop) / 2.0)
    video = video[..., top : top + crop, left : left + crop]
    torch.testing.assert_close(prepare(name, frames), video.transpose(0, 1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [*SIZES, (480, 640)], ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "swin_t", "convnext_base"])
def test_equals_torchvisions_image_transform(name: str, size: tuple[int, int]) -> None:
    frames = random_frames(*size)
    frames[:, ::7] = frames[:, ::7] // 128 * 255  # black and white side by side: bicubic overshoots there
    theirs = get_model_weights(name).DEFAULT.transforms()(torch.from_numpy(frames).permute(0, 3, 1, 2))  # (N, 3, S, S)
    difference = (prepare(name, frames) - theirs).abs()
    # Theirs resizes bytes in whole-number arithmetic, which differs by one level here and there.
    assert difference.max() < 1.01 / 255 / 0.224
    assert (difference > 1e-5).float().mean() < 0.02


def test_scaled_rule_shows_the_same_part() -> None:
    rule = ResizeRule((128, 171), 112, rounded=True)
    assert rule.scaled_to(112) is rule
    assert rule.scaled_to(56) == ResizeRule((64, 86), 56, rounded=True)
    assert ResizeRule(256, 256, rounded=False).scaled_to(100) == ResizeRule(100, 100, rounded=False)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (ResizeRule(182, 160, rounded=False), "short side 182, bilinear, no antialias, centre crop 160"),
        (
            ResizeRule((128, 171), 112, rounded=True),
            "128x171 (HxW), bilinear, no antialias, rounded to uint8, centre crop 112",
        ),
        (
            ResizeRule(232, 224, rounded=True, interpolation="bicubic", antialias=True),
            "short side 232, bicubic, antialias, rounded to uint8, centre crop 224",
        ),
    ],
    ids=["short side", "exact", "image"],
)
def test_describe(rule: ResizeRule, text: str) -> None:
    assert rule.describe() == text


def test_each_frame_is_prepared_by_itself() -> None:
    frames = random_frames(60, 80)
    together = prepare("r3d_18", frames)
    apart = torch.cat([prepare("r3d_18", frame[None]) for frame in frames])
    assert torch.equal(together, apart)
