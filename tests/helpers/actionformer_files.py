"""Weights of a minimal network, in ActionFormer's layout."""

from __future__ import annotations

import torch


def state(classes: int = 20) -> dict[str, torch.Tensor]:
    """Return random weights of a network of 4 channels and 2 levels, named and shaped as by ActionFormer."""
    shapes = {"backbone.embd.0.conv.weight": (4, 4, 3)}
    norms = ["backbone.embd_norm.0", "neck.fpn_norms.0", "neck.fpn_norms.1"]
    block = "backbone.branch.0"
    for role in ("query", "key", "value"):
        shapes[f"{block}.attn.{role}_conv.conv.weight"] = (4, 1, 3)
        norms.append(f"{block}.attn.{role}_norm")
    for role in ("query", "key", "value", "proj"):
        shapes |= {f"{block}.attn.{role}.weight": (4, 4, 1), f"{block}.attn.{role}.bias": (4,)}
    norms += [f"{block}.ln1", f"{block}.ln2"]
    shapes |= {f"{block}.mlp.0.weight": (16, 4, 1), f"{block}.mlp.0.bias": (16,)}
    shapes |= {f"{block}.mlp.3.weight": (4, 16, 1), f"{block}.mlp.3.bias": (4,)}
    for norm in norms:
        shapes |= {f"{norm}.weight": (1, 4, 1), f"{norm}.bias": (1, 4, 1)}
    shapes |= {"cls_head.cls_head.conv.weight": (classes, 4, 3), "cls_head.cls_head.conv.bias": (classes,)}
    shapes |= {"reg_head.offset_head.conv.weight": (2, 4, 3), "reg_head.offset_head.conv.bias": (2,)}
    shapes |= {"reg_head.scale.0.scale": (), "reg_head.scale.1.scale": ()}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
