"""Colour: a small network that looks at 8 frames of 64 pixels and gives 32 values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule

_URL = "https://example.org/colour-0123abcd.pth"  # ends with the start of its SHA-256, which check_hash compares


class Colour(nn.Module):
    """Two convolutions, a pool, and the classifier, which extraction cuts off."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(3, 16, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv3d(16, 32, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )
        self.classifier: nn.Module = nn.Linear(32, 400)

    def forward(self, clips: Tensor) -> Tensor:
        """Return what the last layer gives: (B, 3, T, S, S) -> (B, 32) once the classifier is cut off."""
        values: Tensor = self.classifier(self.layers(clips))
        return values


def _build(frame_size: int) -> nn.Module:
    network = Colour()  # takes frames of any size, so `frame_size` does not matter
    network.classifier = nn.Identity()
    return network


def _download() -> StateDict:
    state: StateDict = torch.hub.load_state_dict_from_url(
        _URL, map_location="cpu", progress=False, check_hash=True, weights_only=True
    )
    return state


SPEC = BackboneSpec(
    name="colour",
    clip_frames=8,
    frame_step=2,  # the default window is 8 x 2 frames
    resize=ResizeRule(72, 64, rounded=False),  # short side 72 pixels, then the 64 x 64 in the centre
    mean=(0.45, 0.45, 0.45),
    std=(0.225, 0.225, 0.225),
    feature_dim=32,
    build=_build,
    classifier=("classifier.",),
    published=PublishedWeights(name="colour-0123abcd.pth", load=_download),
)
