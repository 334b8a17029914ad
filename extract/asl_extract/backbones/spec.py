"""The definition of a backbone: how its publisher evaluates it, and how to build it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from asl_extract.device_ranges import ranges_on
from asl_extract.frames import LibraryTransform, ResizeRule

StateDict = dict[str, Tensor]

AUTOCAST_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose weights autocast converts to a lower precision in every forward pass."""


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that can be downloaded from the publisher.

    Parameters
    ----------
    name : str
        Their name, as recorded in the extraction spec.
    load : callable
        Downloads them (or reads them from torch.hub's cache) and returns the state dict.
    """

    name: str
    load: Callable[[], StateDict]


@dataclass(frozen=True)
class BackboneSpec:
    """A video network and its input.

    Parameters
    ----------
    name : str
        Its name for ``--backbone``.
    clip_frames : int
        Frames per clip, T; with `whole_window`, of the default window.
    resize : ResizeRule or LibraryTransform
        Turns a frame into an input of ``resize.crop`` pixels square.
    mean, std : tuple of float
        Per channel, for values in [0, 1]; of a `LibraryTransform`, which applies them itself, for the record.
    feature_dim : int
        Length of a feature, D.
    frame_step : int
        Frames of a 30 fps video from one frame of a clip to the next in training; it sets the default window.
    build : callable
        ``build(frame_size) -> network``, with the initial weights of the constructor.
    classifier : tuple of str
        Prefixes of the classifier's names in the state dict. The classifier is removed.
    convert : callable, optional
        ``convert(state) -> state``: turns the tensors of a checkpoint into those of the network and the classifier.
    published : PublishedWeights, optional
        Weights that ``--weights default`` loads. None: ``--weights`` must be a file or ``random``.
    weights_page : str
        Address where people get weights that ``--weights default`` cannot load, for messages.
    two_pathways : bool
        Whether the network takes a slow and a fast clip, as SlowFast does.
    fixed_size : bool
        Whether the network requires this frame size.
    whole_window : bool
        Whether the network takes clips of any length. A clip is then every frame of the window.
    frames : {'rgb', 'flow'}
        The network's input: the frames of the video, or the optical flow between them.
    pooling : str
        How tokens become a feature, where ``--pooling`` can choose it; else empty.
    large : bool
        Whether weights are loaded without creating initial ones first, and kept in the precision of the computation.
        `build` is then called on the meta device: tensors outside the state dict must be created on the CPU.
    """

    name: str
    clip_frames: int
    resize: ResizeRule | LibraryTransform
    mean: tuple[float, ...]
    std: tuple[float, ...]
    feature_dim: int
    frame_step: int
    build: Callable[[int], nn.Module]
    classifier: tuple[str, ...]
    convert: Callable[[StateDict], StateDict] | None = None
    published: PublishedWeights | None = None
    weights_page: str = ""
    two_pathways: bool = False
    fixed_size: bool = False
    whole_window: bool = False
    frames: Literal["rgb", "flow"] = "rgb"
    pooling: str = ""
    large: bool = False

    def __post_init__(self) -> None:
        channels = 2 if self.frames == "flow" else 3
        for name in ("mean", "std"):
            if not isinstance(value := getattr(self, name), tuple) or len(value) != channels:
                raise TypeError(f"{name} of a BackboneSpec must be a tuple of {channels} numbers, found {value!r:.60}")
        for name in ("clip_frames", "frame_step", "feature_dim"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise TypeError(f"{name} of a BackboneSpec must be an integer of 1 or more, found {value!r:.60}")
        if not isinstance(self.resize, ResizeRule if self.frames == "flow" else ResizeRule | LibraryTransform):
            raise TypeError(f"resize of a BackboneSpec must be a ResizeRule, found {self.resize!r:.60}")
        if not callable(self.build):
            raise TypeError(f"build of a BackboneSpec must be a function, found {self.build!r:.60}")
        if not isinstance(self.published, PublishedWeights | None):
            raise TypeError(
                f"published of a BackboneSpec must be PublishedWeights or None, found {self.published!r:.60}"
            )

    @property
    def frame_size(self) -> int:
        """Height and width of the input, in pixels, S."""
        return self.resize.crop

    @property
    def window_frames(self) -> int:
        """Default window: the time span of a training clip, at 30 fps."""
        return self.clip_frames * self.frame_step

    @property
    def stride_frames(self) -> int:
        """Default stride: a quarter of the window."""
        return max(1, self.window_frames // 4)


SLOWFAST_ALPHA = 4
"""Fast frames per slow frame."""


class Backbone(nn.Module):
    """A network without its classifier, which returns one feature per clip.

    Parameters
    ----------
    network : nn.Module
        The publisher's network, with the identity in place of its classifier.
    two_pathways : bool
        Whether to give it a slow and a fast clip.
    """

    def __init__(self, network: nn.Module, *, two_pathways: bool = False) -> None:
        super().__init__()
        self.network = network
        self.two_pathways = two_pathways

    def forward(self, clips: Tensor) -> Tensor:
        """Return pooled features: (B, 3, T, S, S) -> (B, D)."""
        with ranges_on(clips.device):
            if self.two_pathways:
                # A new list each time: pytorchvideo's networks replace its elements.
                slow = torch.linspace(0, clips.shape[2] - 1, clips.shape[2] // SLOWFAST_ALPHA).long()
                features: Tensor = self.network([clips.index_select(2, slow), clips])
            else:
                features = self.network(clips)
        return features.flatten(2).mean(2) if features.ndim > 2 else features

    def cast_weights(self, dtype: torch.dtype) -> None:
        """Cast the weights that autocast to this type would cast in each forward pass; the features are the same."""
        for module in self.modules():
            if isinstance(module, AUTOCAST_LAYERS):
                module.to(dtype)
