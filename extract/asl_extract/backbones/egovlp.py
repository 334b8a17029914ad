"""EgoVLP (Lin et al., NeurIPS 2022): the video encoder of a model of egocentric videos and their narrations.

The network follows https://github.com/showlab/EgoVLP at 928406c (MIT licence), `model/video_transformer.py` and
`model/model.py`, and has its names of parameters. The authors hand out the weights by a link without a hash, in a file
that also holds an object of their code, so `--weights` takes a file that contains the state dict only.
The input is that of their script for Moment Queries, `run/test_mq.py`: the square in the centre of the frame, 224
pixels, ImageNet's mean and deviation, and 4 frames a clip. They resize the frame to 256 pixels in between.
The feature is the projected class token, which the text is compared with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asl_extract.backbones._transformer import Mlp, attend
from asl_extract.backbones.spec import BackboneSpec, StateDict
from asl_extract.frames import ResizeRule

_FRAMES, _PATCH = 4, 16
_EPS = 1e-6


class _Attention(nn.Module):
    """Attention of each token to those of its group and the class token, which attends to all.

    Tokens are (B, 1 + T N, D): the class token, then N of each frame.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self._heads = heads

    def forward(self, tokens: Tensor, *, frames: int, over_time: bool) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=2)
        of_class = attend(query[:, :1], key, value, heads=self._heads)

        def grouped(parts: Tensor) -> Tensor:  # (B, T N, D) -> (B groups, members, D)
            by_frame = parts.unflatten(1, (frames, -1))
            by_group: Tensor = by_frame.transpose(1, 2) if over_time else by_frame
            return by_group.flatten(0, 1)

        groups = frames if not over_time else (tokens.shape[1] - 1) // frames
        keys, values = (
            torch.cat([parts[:, :1].repeat_interleave(groups, dim=0), grouped(parts[:, 1:])], dim=1)
            for parts in (key, value)
        )
        attended = attend(grouped(query[:, 1:]), keys, values, heads=self._heads).unflatten(0, (-1, groups))
        of_others = (attended.transpose(1, 2) if over_time else attended).flatten(1, 2)
        projected: Tensor = self.proj(torch.cat([of_class, of_others], dim=1))
        return projected


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = _Attention(width, heads)
        self.timeattn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Mlp(width, 4 * width)
        self.norm3 = nn.LayerNorm(width, eps=_EPS)

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        over_time = tokens + self.timeattn(self.norm3(tokens), frames=frames, over_time=True)
        over_space = tokens + self.attn(self.norm1(over_time), frames=frames, over_time=False)
        after: Tensor = over_space + self.mlp(self.norm2(over_space))
        return after


class _Encoder(nn.Module):
    def __init__(self, width: int, *, depth: int, heads: int, frame_size: int) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, _PATCH, stride=_PATCH)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (frame_size // _PATCH) ** 2, width))
        self.temporal_embed = nn.Parameter(torch.zeros(1, _FRAMES, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, clips: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](clips.transpose(1, 2).flatten(0, 1)).flatten(2).transpose(1, 2)
        of_frames = patches.unflatten(0, (len(clips), -1)) + self.pos_embed[:, 1:] + self.temporal_embed[:, :, None]
        of_class = (self.cls_token + self.pos_embed[:, :1]).expand(len(clips), -1, -1)
        tokens = torch.cat([of_class, of_frames.flatten(1, 2)], dim=1)
        for block in self.blocks:
            tokens = block(tokens, _FRAMES)
        normalised: Tensor = self.norm(tokens[:, 0])
        return normalised


class EgoVlp(nn.Module):
    """The video encoder and its projection: (B, 3, 4, S, S) -> (B, D).

    Parameters
    ----------
    feature_dim : int
        Length of the feature, D.
    width : int
        Length of a token.
    depth, heads : int
        Blocks, and heads of attention in each.
    frame_size : int
        Height and width of the input, S, in pixels.
    """

    def __init__(self, feature_dim: int, *, width: int, depth: int, heads: int, frame_size: int) -> None:
        super().__init__()
        self.video_model = _Encoder(width, depth=depth, heads=heads, frame_size=frame_size)
        self.vid_proj = nn.Sequential(nn.Linear(width, feature_dim))

    def forward(self, clips: Tensor) -> Tensor:
        """Return the features of clips."""
        feature: Tensor = self.vid_proj(self.video_model(clips))
        return feature


def convert(state: StateDict) -> StateDict:
    """Return the tensors for clips of 4 frames: of weights for 16, the first positions, as the authors' script does."""
    name = "video_model.temporal_embed"
    if name in state and state[name].ndim == 3:
        state = state | {name: state[name][:, :_FRAMES]}
    return state


def _build(frame_size: int) -> nn.Module:
    return EgoVlp(256, width=768, depth=12, heads=12, frame_size=frame_size)


BACKBONES = {
    "egovlp": BackboneSpec(
        name="egovlp",
        clip_frames=_FRAMES,
        resize=ResizeRule(224, 224, rounded=False),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        feature_dim=256,
        frame_step=4,
        build=_build,
        convert=convert,
        classifier=("text_model.", "txt_proj."),
        weights_page="https://github.com/showlab/EgoVLP#-pretrained-weights",
        fixed_size=True,
    )
}
