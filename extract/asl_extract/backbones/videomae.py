"""VideoMAE (Tong et al., NeurIPS 2022) and VideoMAE V2 (Wang et al., CVPR 2023), fine-tuned or distilled.

The network follows https://github.com/OpenGVLab/VideoMAEv2 at 29eab1e, `models/modeling_finetune.py`, and has its names
of parameters, which are also those of https://github.com/MCG-NJU/VideoMAE. Both hand out weights by forms and links
that change, without hashes, so `--weights` takes a file. Pre-trained weights without fine-tuning lack the final norm,
and are refused. MMAction2 and OpenTAD hand out weights of the same networks under names of their own
(https://github.com/open-mmlab/mmaction2 at 0f1d96b, `mmaction/models/backbones/vit_mae.py`).

The input of `videomae_*` is that of the authors' validation: short side 224, rounded to uint8, centre crop 224,
ImageNet's mean and standard deviation. The input of `videomaev2_*` is that of `extract_tad_feature.py`, which made the
features that detectors are trained on: the whole frame, resized to 224 x 224 in floating point, with values from 0 to 1
and no normalisation. A clip is 16 consecutive frames.
The feature is what the classifier is given: the mean of all tokens, normalised.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asl_extract.backbones._transformer import Mlp, PatchEmbed, attend
from asl_extract.backbones.spec import BackboneSpec, StateDict
from asl_extract.frames import ResizeRule

_FRAMES, _TUBELET = 16, 2
_EPS = 1e-6


def sine_positions(places: int, width: int) -> Tensor:
    """Return the fixed position embedding, float32: (1, places, width).

    Even values are ``sin(place / 10000^(i / width))``, and the odd one after each is its cosine.
    """
    # On the CPU, also if the network is built on the meta device: they are in no state dict.
    place = torch.arange(places, dtype=torch.float64, device="cpu")
    rate = 10000 ** (-torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
    angle = place[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[None].float()


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)
        self._heads = heads

    def forward(self, tokens: Tensor) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])  # keys have none
        query, key, value = F.linear(tokens, self.qkv.weight, bias).chunk(3, dim=2)
        attended: Tensor = self.proj(attend(query, key, value, heads=self._heads))
        return attended


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Mlp(width, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        after: Tensor = tokens + self.mlp(self.norm2(tokens))
        return after


class VideoMae(nn.Module):
    """The encoder, up to what the classifier is given: (B, 3, 16, S, S) -> (B, D).

    Parameters
    ----------
    width : int
        Length of a token and of the feature, D.
    depth, heads : int
        Blocks, and heads of attention in each.
    hidden : int
        Length of a token inside an MLP.
    patch : int
        Height and width of a patch, in pixels.
    frame_size : int
        Height and width of the input, S, in pixels.
    """

    def __init__(self, width: int, *, depth: int, heads: int, hidden: int, patch: int, frame_size: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(width, patch=patch, tubelet=_TUBELET)
        places = (_FRAMES // _TUBELET) * (frame_size // patch) ** 2
        self.register_buffer("pos_embed", sine_positions(places, width), persistent=False)
        self.blocks = nn.Sequential(*(_Block(width, heads, hidden) for _ in range(depth)))
        self.fc_norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the features of clips."""
        tokens = self.blocks(self.patch_embed(clips) + self.pos_embed)
        feature: Tensor = self.fc_norm(tokens.mean(1))
        return feature


_MMACTION = "backbone."
_RENAMED = {".projection.": ".proj.", ".mlp.layers.0.0.": ".mlp.fc1.", ".mlp.layers.1.": ".mlp.fc2."}


def convert(state: StateDict) -> StateDict:
    """Return the tensors of MMAction2's network under the authors' names; other tensors as they are."""
    converted = {}
    for name, tensor in state.items():
        if name.startswith(_MMACTION):
            name = name.removeprefix(_MMACTION)
            if name == "pos_embed":  # fixed, and not in the authors' files
                continue
            for old, new in _RENAMED.items():
                name = name.replace(old, new)
        converted[name] = tensor
    return converted


# Width, blocks, heads, width inside an MLP, patch.
_SIZES = {
    "s": (384, 12, 6, 1536, 16),
    "b": (768, 12, 12, 3072, 16),
    "l": (1024, 24, 16, 4096, 16),
    "h": (1280, 32, 16, 5120, 16),
    "g": (1408, 40, 16, 6144, 14),
}


def _build(size: str, frame_size: int) -> nn.Module:
    width, depth, heads, hidden, patch = _SIZES[size]
    return VideoMae(width, depth=depth, heads=heads, hidden=hidden, patch=patch, frame_size=frame_size)


def _videomae(
    name: str,
    *,
    resize: ResizeRule,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    weights_page: str,
) -> BackboneSpec:
    size = name.rpartition("_")[2]
    return BackboneSpec(
        name=name,
        clip_frames=_FRAMES,
        resize=resize,
        mean=mean,
        std=std,
        feature_dim=_SIZES[size][0],
        frame_step=1,
        build=partial(_build, size),
        convert=convert,
        classifier=("head.", "cls_head."),
        weights_page=weights_page,
        fixed_size=True,
        large=True,
    )


_first = partial(
    _videomae,
    resize=ResizeRule(224, 224, rounded=True),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    weights_page="https://github.com/MCG-NJU/VideoMAE/blob/main/MODEL_ZOO.md",
)
_second = partial(
    _videomae,
    resize=ResizeRule((224, 224), 224, rounded=False),
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    weights_page="https://github.com/OpenGVLab/VideoMAEv2/blob/master/docs/MODEL_ZOO.md",
)

BACKBONES = {
    **{name: _first(name) for name in ("videomae_s", "videomae_b", "videomae_l", "videomae_h")},
    **{name: _second(name) for name in ("videomaev2_s", "videomaev2_b", "videomaev2_g")},
}
