"""TSP (Alwassel, Giancola and Ghanem, ICCV workshops 2021): R(2+1)D-34 trained on untrimmed videos.

``default`` loads the main checkpoint of https://github.com/HumamAlwassel/TSP, trained on ActivityNet. Those
trained on THUMOS14 and the TAC baselines load with ``--weights FILE``. Parameter names are torchvision's
below ``features.``; the 34-layer network differs from torchvision's 18-layer one in that each convolution
computes its middle channels from its own input channels, and in the eps of batch norm.
The input is that of their ``extract_features.py``: 16 frames at 15 fps, resized to 128 x 171 in floating
point, centre crop 112. The feature is the 512 values before the classifiers.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D, R2Plus1dStem, VideoResNet

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import ResizeRule

_RELEASE = "https://github.com/HumamAlwassel/TSP/releases/download/model_weights/"
_ACTIVITYNET = "r2plus1d_34-tsp_on_activitynet-max_gvf-backbone_lr_0.0001-fc_lr_0.002-epoch_5-0d2cf854.pth"


class _Conv2Plus1D(Conv2Plus1D):  # type: ignore[misc]  # torchvision has no types
    """A (2+1)D convolution with about as many parameters as a 3D one with the same input and output channels."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1, padding: int = 1) -> None:
        own = in_planes * out_planes * 27 // (in_planes * 9 + 3 * out_planes)
        super().__init__(in_planes, out_planes, own, stride, padding)


def _build(frame_size: int) -> nn.Module:
    resnet = VideoResNet(block=BasicBlock, conv_makers=[_Conv2Plus1D] * 4, layers=[3, 4, 6, 3], stem=R2Plus1dStem)
    for module in resnet.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eps, module.momentum = 1e-3, 0.9
    resnet.fc = nn.Identity()
    return nn.Sequential(OrderedDict(features=resnet))


def _download(file: str) -> StateDict:
    state: StateDict = read_published(_RELEASE + file)["model"]
    return state


BACKBONES = {
    "r2plus1d_34_tsp": BackboneSpec(
        name="r2plus1d_34_tsp",
        clip_frames=16,
        resize=ResizeRule((128, 171), 112, rounded=False),
        mean=(0.43216, 0.394666, 0.37645),
        std=(0.22803, 0.22145, 0.216989),
        feature_dim=512,
        frame_step=2,
        build=_build,
        published=PublishedWeights(name=_ACTIVITYNET, load=partial(_download, _ACTIVITYNET)),
        classifier=("fc.", "fc1.", "fc2."),
    )
}
