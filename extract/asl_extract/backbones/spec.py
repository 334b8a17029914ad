"""What a backbone is: the numbers its publisher evaluates it with, and how to build it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from asl_extract.frames import ResizeRule

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that the publisher offers for download.

    Parameters
    ----------
    name : str
        Their name, as it is recorded in the extraction spec.
    load : callable
        Downloads them (or takes them from torch.hub's cache) and returns the state dict.
    """

    name: str
    load: Callable[[], StateDict]


@dataclass(frozen=True)
class BackboneSpec:
    """A video network and its input.

    Parameters
    ----------
    name : str
        As ``--backbone`` takes it.
    clip_frames : int
        Frames per clip, T; with `whole_window`, of the default window.
    resize : ResizeRule
        From a frame to the input of ``resize.crop`` pixels square.
    mean, std : tuple of float
        Per channel, for values in [0, 1].
    feature_dim : int
        Length of a feature, D.
    frame_step : int
        Frames of a 30 fps video between two frames of a clip, as the network was trained; sets the default window.
    build : callable
        ``build(frame_size) -> network`` with the constructor's own initial weights.
    classifier : tuple of str
        Prefixes of the state dict's names that belong to the classifier, which is cut off.
    published : PublishedWeights, optional
        What ``--weights default`` loads. None: weights must be a file, or random.
    two_pathways : bool
        Whether the network takes a slow and a fast clip, as SlowFast does.
    fixed_size : bool
        Whether the network accepts no other frame size.
    whole_window : bool
        Whether the network takes clips of any length, and so every frame of the window.
    frames : {'rgb', 'flow'}
        What the network looks at: the video's frames, or the optical flow between them.
    """

    name: str
    clip_frames: int
    resize: ResizeRule
    mean: tuple[float, ...]
    std: tuple[float, ...]
    feature_dim: int
    frame_step: int
    build: Callable[[int], nn.Module]
    classifier: tuple[str, ...]
    published: PublishedWeights | None = None
    two_pathways: bool = False
    fixed_size: bool = False
    whole_window: bool = False
    frames: Literal["rgb", "flow"] = "rgb"

    @property
    def frame_size(self) -> int:
        """Height and width of the input, in pixels, S."""
        return self.resize.crop

    @property
    def window_frames(self) -> int:
        """Default window: the time that a training clip spanned, at 30 fps."""
        return self.clip_frames * self.frame_step

    @property
    def stride_frames(self) -> int:
        """Default stride: a quarter of the window."""
        return max(1, self.window_frames // 4)


SLOWFAST_ALPHA = 4
"""Fast frames per slow frame."""


class Backbone(nn.Module):
    """A network without its classifier: clips in, one feature a clip out.

    Parameters
    ----------
    network : nn.Module
        The publisher's network, its classifier replaced by the identity.
    two_pathways : bool
        Whether to give it a slow and a fast clip.
    """

    def __init__(self, network: nn.Module, *, two_pathways: bool = False) -> None:
        super().__init__()
        self.network = network
        self.two_pathways = two_pathways

    def forward(self, clips: Tensor) -> Tensor:
        """Return pooled features: (B, 3, T, S, S) -> (B, D)."""
        if self.two_pathways:
            # A new list each time: pytorchvideo's networks replace its elements.
            slow = torch.linspace(0, clips.shape[2] - 1, clips.shape[2] // SLOWFAST_ALPHA, device=clips.device).long()
            features: Tensor = self.network([clips.index_select(2, slow), clips])
        else:
            features = self.network(clips)
        return features.flatten(2).mean(2) if features.ndim > 2 else features
