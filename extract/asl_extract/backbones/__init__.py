"""Backbones by name. A family's module, and torch with it, is imported when one of its names is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from asl_kit.errors import UsageError

if TYPE_CHECKING:
    from asl_extract.backbones.spec import BackboneSpec

_FAMILIES = {
    "pytorchvideo_resnet": ("i3d_r50", "slow_r50"),
    "pytorchvideo_slowfast": ("slowfast_r50", "slowfast_r101"),
    "pytorchvideo_x3d": ("x3d_xs", "x3d_s", "x3d_m", "x3d_l"),
    "torchvision_video": (
        "r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b",
    ),
}  # fmt: skip

BACKBONES = {name: f"asl_extract.backbones.{family}" for family, names in _FAMILIES.items() for name in names}
"""Module of each backbone; the module's ``BACKBONES`` maps the name to a `BackboneSpec`."""


def get_backbone(name: str) -> BackboneSpec:
    """Return a backbone by name.

    Raises
    ------
    UsageError
        If there is no backbone of that name; the hint lists all names.
    """
    if name not in BACKBONES:
        raise UsageError(f"unknown backbone {name!r}", hint=f"backbones: {', '.join(sorted(BACKBONES))}")
    family: dict[str, BackboneSpec] = importlib.import_module(BACKBONES[name]).BACKBONES
    return family[name]
