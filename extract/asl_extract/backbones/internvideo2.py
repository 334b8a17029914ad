"""InternVideo2 (Wang et al., ECCV 2024), the video encoder of 1 and 6 billion parameters, and S, B and L distilled.

The network follows https://github.com/OpenGVLab/InternVideo at 3965eef, `InternVideo2/single_modality/models`, and has
its names of parameters. Every stage's weights load: pre-trained, distilled, fine-tuned, and those of stage 2 and CLIP,
of which the vision encoder is used. They are behind a form, without hashes, so `--weights` takes a file.
The authors compute with flash-attn, whose MLP approximates GELU by tanh; this network does so without it.

The input is that of the authors' validation (`datasets/kinetics_sparse.py` and the scripts): short side 224, rounded
to uint8, centre crop 224, ImageNet's mean and standard deviation. A clip is 8 frames, sampled evenly from a window of
16: so the authors extract features for detection (https://github.com/OpenGVLab/InternVideo/issues/182).
Positions of weights for another number of frames are interpolated, as the authors do for fine-tuning.
The feature is the mean of the last block's tokens without the class token, as in OpenTAD
(https://github.com/sming256/OpenTAD/issues/49; its features have the width of the encoder, 1,408 and 3,200, not that of
the attention pool, 768).
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asl_extract.backbones._transformer import Mlp, PatchEmbed, attend
from asl_extract.backbones.spec import BackboneSpec, StateDict
from asl_extract.frames import ResizeRule

_FRAMES, _FRAME_SIZE, _PATCH = 8, 224, 14
_PLACES = (_FRAME_SIZE // _PATCH) ** 2
_UNUSED = (
    # the attention pool and the classifiers of fine-tuning
    "clip_projector.", "fc_norm.", "head.", "extra_mlp.", "down.", "down_norm.",
    # the decoders of pre-training and distillation
    "clip_decoder.", "final_clip_decoder.", "mae_decoder.", "clip_pos_embed", "mae_pos_embed",
    # the positions of single images in stage 2
    "img_pos_embed", "clip_img_pos_embed",
)  # fmt: skip
_VISION = "vision_encoder."


class _RmsNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        normed = F.rms_norm(tokens.float(), self.weight.shape, self.weight, eps=1e-6)
        return normed.to(tokens.dtype)


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm = _RmsNorm(width)
        self.k_norm = _RmsNorm(width)
        self.proj = nn.Linear(width, width)
        self._heads = heads

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=2)
        attended: Tensor = self.proj(attend(self.q_norm(query), self.k_norm(key), value, heads=self._heads))
        return attended


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = _RmsNorm(width)
        self.attn = _Attention(width, heads)
        self.ls1 = _LayerScale(width)
        self.norm2 = _RmsNorm(width)
        self.mlp = Mlp(width, hidden, gelu="tanh")
        self.ls2 = _LayerScale(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        after: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return after


class InternVideo2(nn.Module):
    """The video encoder: (B, 3, T, S, S) -> (B, D).

    Parameters
    ----------
    width : int
        Length of a token and of the feature, D.
    depth, heads : int
        Blocks, and heads of attention in each.
    hidden : int
        Length of a token inside an MLP.
    frames : int
        Frames of a clip, T.
    frame_size : int
        Height and width of the input, S, in pixels.
    """

    def __init__(self, width: int, *, depth: int, heads: int, hidden: int, frames: int, frame_size: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(width, patch=_PATCH, tubelet=1)
        places = frames * (frame_size // _PATCH) ** 2
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + places, width))
        self.blocks = nn.Sequential(*(_Block(width, heads, hidden) for _ in range(depth)))

    def forward(self, clips: Tensor) -> Tensor:
        """Return the features of clips."""
        tokens = self.patch_embed(clips)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1) + self.pos_embed
        after: Tensor = self.blocks(tokens)
        return after[:, 1:].mean(1)


def convert(state: StateDict, *, frames: int = _FRAMES, places: int = _PLACES) -> StateDict:
    """Return the video encoder's tensors of a checkpoint of any stage, with positions for `frames` frames.

    Parameters
    ----------
    state : dict of str to Tensor
        The checkpoint's.
    frames : int
        Frames of a clip.
    places : int
        Patches of a frame.
    """
    if any(name.startswith(_VISION) for name in state):
        state = {name.removeprefix(_VISION): value for name, value in state.items() if name.startswith(_VISION)}
    positions = state.get("pos_embed")
    if positions is None or positions.ndim != 3 or len(positions) != 1 or (positions.shape[1] - 1) % places:
        return state  # does not fit: the message names it
    own, others = positions[:, :1], positions[:, 1:]
    if others.shape[1] not in (0, frames * places):
        # (1, T x places, D) -> (places, D, T), for the interpolation over time, and back
        by_place = others[0].unflatten(0, (-1, places)).permute(1, 2, 0).float()
        interpolated = F.interpolate(by_place, size=frames, mode="linear").permute(2, 0, 1).flatten(0, 1)[None]
        state = state | {"pos_embed": torch.cat([own, interpolated.to(own.dtype)], dim=1)}
    return state


# Width, blocks, heads, width inside an MLP.
_SIZES = {
    "internvideo2_s": (384, 12, 6, 1536),
    "internvideo2_b": (768, 12, 12, 3072),
    "internvideo2_l": (1024, 24, 16, 4096),
    "internvideo2_1b": (1408, 40, 16, 6144),
    "internvideo2_6b": (3200, 48, 25, 12800),
}


def _build(name: str, frame_size: int) -> nn.Module:
    width, depth, heads, hidden = _SIZES[name]
    return InternVideo2(width, depth=depth, heads=heads, hidden=hidden, frames=_FRAMES, frame_size=frame_size)


def _internvideo2(name: str, weights_page: str) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        clip_frames=_FRAMES,
        resize=ResizeRule(_FRAME_SIZE, _FRAME_SIZE, rounded=True),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        feature_dim=_SIZES[name][0],
        frame_step=2,
        build=partial(_build, name),
        classifier=_UNUSED,
        convert=convert,
        weights_page=weights_page,
        fixed_size=True,
        large=True,
    )


_PAGES = "https://github.com/OpenGVLab/InternVideo/blob/main/InternVideo2"
_SINGLE, _MULTI = f"{_PAGES}/single_modality/MODEL_ZOO.md", f"{_PAGES}/multi_modality/MODEL_ZOO.md"
# At 3965eef, the 6B model is handed out in stage 2 and CLIP only.
BACKBONES = {name: _internvideo2(name, _MULTI if name == "internvideo2_6b" else _SINGLE) for name in _SIZES}
