"""Make tests/reference/released_asl.npz: losses and gradients of ASL's Ego4D code, by that code itself.

git clone https://github.com/JonnyS1226/ego4d_asl   (made at commit 4ffbce5)
python make_released_asl.py PATH_OF_THE_CLONE

Its target assignment, losses and contrastive loss run as they are, on random outputs of a small pyramid in place of
its network (an XLNet that it takes from transformers, of which no weights are public). Its pooling of regions, which
is compiled for CUDA, is written out below as a plain loop over what its kernel does. Two changes:

- it leaves videos without a segment out of a batch before anything else, so none is given to it;
- its contrastive loss fits labels to features only if every video has one segment: each segment is given to it as a
  video of its own, with the features of the video that it is in.
"""

from __future__ import annotations

import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CLASSES, LENGTH, LEVELS, CHANNELS = 4, 64, 4, 6
RANGES = [[0, 4], [2, 8], [4, 16], [8, 10000]]  # overlapping, as in its configurations
VALID = (64, 47, 20)  # features of the videos; the rest is padding
SEGMENTS = (
    [[2.0, 4.6], [3.0, 12.5], [20.3, 58.0], [20.3, 57.9995]],  # the last two are equally long, of two classes
    [[0.0, 30.2], [31.0, 33.2], [40.1, 46.9]],
    [[5.5, 9.0]],
)
LABELS = ([0, 2, 3, 1], [2, 2, 0], [1])
CASES: dict[str, dict[str, Any]] = {
    "as published": {"al_loss_weight": 0.2},
    "other constants": {"al_loss_weight": 0.5, "train_loss_weight": 2.0, "train_label_smoothing": 0.1},
    "whole segments": {"al_loss_weight": 0.2, "train_center_sample": "none"},
}


class RegionPooling(nn.Module):
    """What its CUDA kernel does: 16 bins, each the mean of samples that are linear between the features."""

    def __init__(self, bins: int, ratio: int) -> None:
        super().__init__()
        assert ratio == 0
        self.bins = bins

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        pooled = []
        for row in regions:
            video, start, end = int(row[0]), float(row[1]), float(row[2])
            length = max(end - start, 1.0)
            samples = math.ceil(length / self.bins)
            for place in range(self.bins):
                values = [
                    self._at(x[video], start + (place + (i + 0.5) / samples) * length / self.bins)
                    for i in range(samples)
                ]
                pooled.append(torch.stack(values).mean(0))
        return torch.stack(pooled).view(len(regions), self.bins, -1).transpose(1, 2)

    def _at(self, x: Tensor, t: float) -> Tensor:
        last = x.shape[-1] - 1
        if t < -1 or t > last + 1:
            return x[:, 0] * 0
        t = min(max(t, 0.0), float(last))
        low = int(t)
        return x[:, low] * (1 - (t - low)) + x[:, min(low + 1, last)] * (t - low)


def load(clone: Path) -> Any:
    """Return its class, without the packages and the compiled parts that the losses do not use."""
    absent = {
        "libs.modeling.modeling_xlnet_x": ("XLNetModel", "XLNetConfig"),
        "libs.modeling.ml_gcn": ("LabelGCN", "LabelTransformer"),
        "libs.utils": ("batched_nms",),
        "turtle": ("forward",),
        "chunk": (),
    }
    for name, attributes in absent.items():
        sys.modules[name] = types.ModuleType(name)
        for attribute in attributes:
            setattr(sys.modules[name], attribute, None)
    sys.path.insert(0, str(clone))
    from libs.modeling.meta_archs import PtTransformer

    return PtTransformer


def build(network: Any, **settings: Any) -> Any:
    """Return an instance with what the losses need of it: the Gaussians, and its configuration."""
    model = network.__new__(network)
    nn.Module.__init__(model)
    for name, value in {
        "num_classes": CLASSES,
        "train_center_sample": "radius",
        "train_center_sample_radius": 1.5,
        "train_loss_weight": 1.0,
        "train_label_smoothing": 0.0,
        "loss_normalizer": 100.0,
        "loss_normalizer_momentum": 0.9,
        "length_theta": 0.2,
        "temperature": 0.07,
        **settings,
    }.items():
        setattr(model, name, value)
    chance = np.random.default_rng(1)
    for name, mean in {"mu": 0, "mu_reg_left": -0.5, "mu_reg_right": 0.5}.items():
        model.register_parameter(name, parameter(mean + chance.normal(0, 0.1, (CLASSES, 1))))
    for name in ("sigma", "sigma_reg_left", "sigma_reg_right"):
        model.register_parameter(name, parameter(chance.uniform(0.3, 1.2, (CLASSES, 1))))
    model.roi_extractor = RegionPooling(16, 0)
    return model


def parameter(values: np.ndarray) -> nn.Parameter:
    return nn.Parameter(torch.tensor(np.round(values * 64) / 64, dtype=torch.float32))


def compute(network: Any, settings: dict[str, Any]) -> dict[str, Tensor]:
    """Return inputs, losses and gradients of one step."""
    from libs.modeling.loc_generators import PointGenerator

    model = build(network, **settings)
    chance = np.random.default_rng(0)
    sizes = [LENGTH >> level for level in range(LEVELS)]

    def drawn(*shape: int) -> Tensor:
        return torch.tensor(np.round(chance.normal(size=shape) * 64) / 64, dtype=torch.float32)

    logits = (drawn(len(VALID), sum(sizes), CLASSES) - 1).requires_grad_()
    offsets = (drawn(len(VALID), sum(sizes), 2).abs() * 2 + 1 / 128).requires_grad_()  # never equal to a target
    masks = [torch.arange(0, LENGTH, 1 << level)[None] < torch.tensor(VALID)[:, None] for level in range(LEVELS)]
    generator = PointGenerator(LENGTH, [1 << level for level in range(LEVELS)], RANGES)
    points = generator([torch.zeros(1, 1, size) for size in sizes])
    segments, labels = [torch.tensor(s) for s in SEGMENTS], [torch.tensor(s) for s in LABELS]
    classes, targets, p_cls, p_loc = model.label_points(points, segments, labels)
    losses = model.losses(
        masks,
        list(logits.split(sizes, dim=1)),
        list(offsets.split(sizes, dim=1)),
        classes,
        targets,
        label_list=labels,
        normal_probs_cls=p_cls,
        normal_probs_reg=p_loc,
    )
    losses["final_loss"].backward()
    inputs = {"logits": logits, "offsets": offsets, **dict(model.named_parameters())}
    return (
        {f"loss {name}": value for name, value in losses.items()}
        | inputs
        | {f"gradient {name}": value.grad for name, value in inputs.items()}
    )


def contrast(network: Any) -> dict[str, Tensor]:
    """Return features, the contrastive loss before it is divided by the normalizer, and the gradient."""
    model = build(network)
    values = np.random.default_rng(2).normal(size=(len(VALID), LENGTH, CHANNELS))
    features = torch.tensor(np.round(values * 64) / 64, dtype=torch.float32).requires_grad_()
    masked = features * (torch.arange(LENGTH) < torch.tensor(VALID)[:, None])[..., None]
    owner = [video for video, own in enumerate(SEGMENTS) for _ in own]
    segments = [torch.tensor([segment]) for own in SEGMENTS for segment in own]
    labels = [torch.tensor([label]) for own in LABELS for label in own]
    loss = model.get_segment_level_contra_loss(masked.transpose(1, 2)[owner], segments, labels)
    loss.backward()
    return {"features": features, "loss": loss, "gradient": features.grad}


def main() -> None:
    network = load(Path(sys.argv[1]))
    arrays = {
        f"{case}: {name}": v for case, settings in CASES.items() for name, v in compute(network, settings).items()
    }
    arrays |= {f"contrastive: {name}": value for name, value in contrast(network).items()}
    first = next(iter(CASES))
    shared = (
        "logits",
        "offsets",
        *(f"{kind}{end}" for kind in ("mu", "sigma") for end in ("", "_reg_left", "_reg_right")),
    )
    kept = {
        name: value for name, value in arrays.items() if name.startswith(first) or name.split(": ")[1] not in shared
    }
    np.savez_compressed(
        Path(__file__).parents[1] / "released_asl.npz", **{name: v.detach().numpy() for name, v in kept.items()}
    )


if __name__ == "__main__":
    main()
