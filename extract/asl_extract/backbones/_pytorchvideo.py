"""Code that the backbones of pytorchvideo share.

Only its models are used: its transforms and data loaders cannot be imported with current torchvision.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from torch import nn

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import PublishedWeights, StateDict

with warnings.catch_warnings():
    # pytorchvideo scripts its layers on import, which torch has deprecated.
    warnings.filterwarnings("ignore", message="`torch.jit", category=FutureWarning)
    warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
    from pytorchvideo.models import hub as hub  # the families import it from here

MEAN = (0.45, 0.45, 0.45)
STD = (0.225, 0.225, 0.225)
"""Normalisation of Kinetics in PySlowFast, from which the weights were ported."""

_URL = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/"
_TOTAL_STRIDE = 32


def published(file: str) -> PublishedWeights:
    """Return the weights in this file of the model zoo."""
    return PublishedWeights(name=file, load=partial(_download, file))


def _download(file: str) -> StateDict:
    state: StateDict = read_published(_URL + file)["model_state"]
    return state


def cut_off_classifier(head: Any) -> None:
    """Make a pytorchvideo head return the input of its classifier."""
    head.dropout = nn.Identity()
    head.proj = nn.Identity()
    head.activation = None
    head.output_pool = None


def fit_pool(pool: Any, *, frame_size: int) -> None:
    """Shrink a pool of fixed size to the feature map of smaller frames; do nothing if the map is large enough."""
    map_size = -(-frame_size // _TOTAL_STRIDE)
    time, height, width = pool.kernel_size
    pool.kernel_size = (time, min(height, map_size), min(width, map_size))
