"""The offsets head: two numbers at every point, the distances to start and end, whatever the class.

Zhang, Wu, Li: "ActionFormer: Localizing Moments of Actions with Transformers", ECCV 2022, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from asl_kit.model.heads.contract import LocalizationHead, Located
from asl_kit.model.heads.layers import PackedPyramid
from asl_kit.model.losses import at_least_float32, diou_loss, temporal_iou
from asl_kit.recipes.schema import ModelRecipe


@dataclass(frozen=True)
class OffsetReading:
    """The columns are the distances."""

    class_columns = 0

    def at(self, columns: Tensor, sizes: Sequence[int], video: Tensor, point: Tensor, label: Tensor) -> Tensor:
        """Return the distances of points: (..., 2)."""
        return at_least_float32(columns[video, point])

    def locate(
        self, columns: Tensor, sizes: Sequence[int], positive: Tensor, classes: Tensor, true_offsets: Tensor
    ) -> Located:
        """Compare the distances of all points with those of their segments."""
        offsets = at_least_float32(columns)
        tiou = temporal_iou(offsets, true_offsets)
        return Located(offsets, diou_loss(offsets, true_offsets), tiou, tiou[..., None])


class OffsetHead(LocalizationHead):
    """A head of two columns.

    Parameters
    ----------
    model : ModelRecipe
        Width, number of layers and kernel size.
    classes : int
        K; the columns are the same for all classes.
    """

    reading = OffsetReading()

    def __init__(self, model: ModelRecipe, classes: int) -> None:
        super().__init__(model.width, 2, layers=model.head_layers, hidden=model.head_width, kernel=model.head_kernel)

    def complete(self, columns: Tensor, packed: PackedPyramid, scale: Tensor) -> Tensor:
        """Return the distances: (B, P, 2)."""
        return F.relu(columns * scale)
