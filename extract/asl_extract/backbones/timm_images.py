"""Image networks of timm (https://github.com/huggingface/pytorch-image-models): ``timm:MODEL``, a feature per frame.

Size, crop, interpolation, mean and standard deviation are those of timm's own data configuration; frames are resized
by timm's own transform as tensors, which rounds some pixels one level up or down from what it makes of Pillow's images.
The feature is what timm gives for ``num_classes=0``: pooled as the network's configuration says.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from asl_extract.backbones._hub import fetch_from_hub
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import LibraryTransform
from asl_kit.base.similar_names import close_matches
from asl_kit.errors import MissingDependencyError, UsageError

_FILE = "model.safetensors"


@lru_cache
def make_backbone(model: str, *, pooling: str = "") -> BackboneSpec:
    """Return the backbone ``timm:MODEL``; its name states the pre-training that timm has as default.

    Raises
    ------
    MissingDependencyError
        If timm is not installed.
    UsageError
        If timm has no such model, it does not take square colour images, or a pooling is given.
    """
    timm = _timm()
    if pooling:
        raise UsageError(f"timm:{model} has one way to pool, got --pooling {pooling}", hint="leave --pooling out")
    if not timm.is_model(model):
        close = ", ".join(close_matches(model, timm.list_models(), n=3))
        raise UsageError(
            f"timm {timm.__version__} has no model {model!r}",
            hint=f"did you mean {close}?" if close else "timm.list_models() lists all",
        )
    try:
        with torch.device("meta"):
            network = timm.create_model(model, num_classes=0).eval()
    except RuntimeError as fault:  # such as an unknown pre-training
        raise UsageError(
            f"timm:{model} cannot be created: {fault}", hint=f"timm.list_pretrained('{model.partition('.')[0]}*')"
        ) from fault
    facts = network.pretrained_cfg
    data = timm.data.resolve_model_data_config(network)
    channels, height, width = data["input_size"]
    if channels != 3 or height != width:
        raise UsageError(f"timm:{model} takes inputs of {data['input_size']}, not square colour images")
    tag = f".{facts['tag']}" if facts.get("tag") else ""
    name = f"{facts['architecture']}{tag}"
    classifiers = facts.get("classifier") or ()
    transform = timm.data.create_transform(**data, is_training=False, normalize=False)
    mean, std = tuple(map(float, data["mean"])), tuple(map(float, data["std"]))
    return BackboneSpec(
        name=f"timm:{name}",
        clip_frames=1,
        resize=LibraryTransform(
            partial(_prepare, transform, mean, std),
            crop=height,
            description=f"timm {', '.join(f'{key} {data[key]}' for key in ('interpolation', 'crop_pct', 'crop_mode'))}",
        ),
        mean=mean,
        std=std,
        feature_dim=network(torch.empty(1, 3, height, width, device="meta")).shape[1],
        frame_step=1,
        build=partial(_build, name),
        classifier=tuple(f"{part}." for part in ([classifiers] if isinstance(classifiers, str) else classifiers)),
        published=PublishedWeights(facts["hf_hub_id"], load=partial(_load, name, facts["hf_hub_id"]))
        if facts.get("hf_hub_id")
        else None,
        fixed_size=True,
    )


def _timm() -> Any:
    try:
        import timm
    except ImportError as fault:
        raise MissingDependencyError(
            f"backbones timm:MODEL need timm: {fault}", hint="pip install 'asl-kit[timm]'"
        ) from fault
    return timm


def _build(name: str, frame_size: int) -> nn.Module:
    network: nn.Module = _timm().create_model(name, num_classes=0)
    network.register_forward_pre_hook(_only_frame)
    return network


def _only_frame(network: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Turn clips of one frame into images: (B, 3, 1, S, S) -> (B, 3, S, S)."""
    return (inputs[0].squeeze(2),)


def _load(name: str, model: str, /) -> StateDict:
    file = fetch_from_hub(model, [_FILE], backbone=f"timm:{name}") / _FILE
    network = _timm().create_model(name, num_classes=0, pretrained=True, pretrained_cfg_overlay={"file": str(file)})
    state: StateDict = network.state_dict()
    return state


def _prepare(transform: Any, mean: tuple[float, ...], std: tuple[float, ...], frames: Tensor) -> Tensor:
    """Return the input of the network: uint8 (N, 3, H, W) -> float32 (N, 3, S, S)."""
    from torchvision.transforms.functional import normalize

    pixels: Tensor = normalize(transform(frames).float() / 255, mean, std)
    return pixels
