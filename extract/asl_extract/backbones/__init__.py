"""Backbones by name. A family's module, and torch with it, is imported when one of its names is used.

``hf:MODEL`` and ``timm:MODEL`` are networks of other libraries, which `LIBRARIES` makes backbones of.
Other packages add backbones through the entry point group `ENTRY_POINT_GROUP`: see docs/plugins.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from asl_kit.base.plugins import entry_names, find_entry
from asl_kit.base.similar_names import close_matches
from asl_kit.errors import UsageError

if TYPE_CHECKING:
    from asl_extract.backbones.spec import BackboneSpec

ENTRY_POINT_GROUP = "asl_kit.backbones"

_FAMILIES = {
    "egovlp": ("egovlp",),
    "inception_i3d": ("i3d_rgb", "i3d_flow"),
    "internvideo2": ("internvideo2_s", "internvideo2_b", "internvideo2_l", "internvideo2_1b", "internvideo2_6b"),
    "omnivore": ("omnivore_swin_t", "omnivore_swin_s", "omnivore_swin_b", "omnivore_swin_l"),
    "pytorchvideo_csn": ("csn_r101",),
    "pytorchvideo_resnet": ("i3d_r50", "slow_r50"),
    "pytorchvideo_slowfast": ("slowfast_r50", "slowfast_r101"),
    "pytorchvideo_x3d": ("x3d_xs", "x3d_s", "x3d_m", "x3d_l"),
    "torchvision_image": (
        "resnet50", "resnet101", "vit_b_16", "vit_l_16", "swin_t", "swin_b", "convnext_tiny", "convnext_base",
    ),
    "torchvision_video": (
        "r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v1_b", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b",
    ),
    "tsp": ("r2plus1d_34_tsp",),
    "videomae": (
        "videomae_s", "videomae_b", "videomae_l", "videomae_h", "videomaev2_s", "videomaev2_b", "videomaev2_g",
    ),
}  # fmt: skip

BACKBONES = {name: f"asl_extract.backbones.{family}" for family, names in _FAMILIES.items() for name in names}
"""Module of each built-in backbone; the module's ``BACKBONES`` maps the name to a `BackboneSpec`."""

LIBRARIES = {"hf": "asl_extract.backbones.hugging_face", "timm": "asl_extract.backbones.timm_images"}
"""Module of each library by its prefix; ``make_backbone`` makes a `BackboneSpec` of a name without the prefix."""


def backbone_names() -> list[str]:
    """Return the names of all backbones, including those of other packages, sorted."""
    return sorted({*BACKBONES, *entry_names(ENTRY_POINT_GROUP)})


def get_backbone(name: str, *, pooling: str = "") -> BackboneSpec:
    """Return a backbone by name.

    Parameters
    ----------
    name : str
        A name in `backbone_names`, ``hf:MODEL`` or ``timm:MODEL``.
    pooling : str
        How tokens become a feature; empty: as the backbone's network does by default.

    Raises
    ------
    UsageError
        If no backbone has that name (the hint lists all), several packages provide it, or it has no such pooling.
    MissingDependencyError
        If the package that provides it cannot be imported, or provides something else.
    MissingFileError, CheckpointError
        If a library cannot find the model, or make a backbone of it.
    """
    library, colon, model = name.partition(":")
    if colon and library in LIBRARIES:
        made: BackboneSpec = importlib.import_module(LIBRARIES[library]).make_backbone(model, pooling=pooling)
        return made
    if pooling:
        raise UsageError(f"{name} has one way to pool, got --pooling {pooling}", hint="leave --pooling out")
    entry = find_entry(ENTRY_POINT_GROUP, name, kind="backbone", built_in=BACKBONES)
    if name in BACKBONES:
        family: dict[str, BackboneSpec] = importlib.import_module(BACKBONES[name]).BACKBONES
        return family[name]
    if entry is not None:
        from asl_extract.backbones.third_party import load_third_party

        return load_third_party(entry)
    close = close_matches(name, backbone_names())
    meant = f"Did you mean {close[0]!r}? " if close else ""
    raise UsageError(
        f"unknown backbone {name!r}", hint=f"{meant}Backbones: {', '.join(backbone_names())}; or hf:MODEL, timm:MODEL"
    )
