"""The trident head: distances as expected values over bins, from the boundary scores of the points around.

Around each point lie `trident_bins` further points to either side. Their scores as the start (or end) of a class, plus
what the point itself says of each of these bins, become probabilities; the expected bin is the distance in strides.

Legend: B videos in the batch, P points of all levels together, K classes, M bins with that of distance 0.

Shi et al.: "TriDet: Temporal Action Detection with Relative Boundary Modeling", CVPR 2023, section 3.3; its
weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from asl_kit.model.heads.contract import LocalizationHead, Located
from asl_kit.model.heads.layers import Head, PackedPyramid
from asl_kit.model.losses import at_least_float32, diou_loss, temporal_iou
from asl_kit.recipes.schema import ModelRecipe


@dataclass(frozen=True)
class TridentReading:
    """The columns are K scores as a start, K scores as an end, and M numbers for the bins to either side.

    Parameters
    ----------
    bins : int
        Bins to either side besides that of distance 0: M - 1.
    """

    bins: int

    class_columns = 2

    def at(self, columns: Tensor, sizes: Sequence[int], video: Tensor, point: Tensor, label: Tensor) -> Tensor:
        """Return the distances of points for a class: (..., 2)."""
        levels = [columns.new_full((size,), level, dtype=torch.int64) for level, size in enumerate(sizes)]
        level_of = torch.cat(levels)
        classes = (columns.shape[2] - 2 * (self.bins + 1)) // 2
        distance = torch.arange(self.bins + 1, device=columns.device)
        at_point = columns[video, point][..., 2 * classes :].unflatten(-1, (2, -1))  # (..., 2, M)
        video, label = video[..., None], label[..., None]

        def expected(scores_from: int, around: Tensor, own: Tensor) -> Tensor:
            """Return the expected distance (...), given the points around (..., M)."""
            place = around.clamp(0, len(level_of) - 1)
            same_level = (place == around) & (level_of[place] == level_of[point][..., None])
            score = columns[video, place, label + scores_from] * same_level
            bins = torch.softmax(at_least_float32(score) + own, dim=-1)
            return (bins * (around - point[..., None]).abs()).sum(-1)

        starts = point[..., None] - distance.flip(0)  # the farthest bin comes first, as in TriDet
        ends = point[..., None] + distance
        return torch.stack(
            (expected(0, starts, at_point[..., 0, :]), expected(classes, ends, at_point[..., 1, :])), dim=-1
        )

    def locate(
        self, columns: Tensor, sizes: Sequence[int], positive: Tensor, classes: Tensor, true_offsets: Tensor
    ) -> Located:
        """Compare the distances of all positive points for each of their classes with those of their segments.

        The losses of a point's classes are added up, and its distances averaged. Distances of other points are 0.
        """
        # A GPU waits here for their number. All classes of all points take many times as long, and much more memory.
        video, point, label = ((classes > 0) & positive[..., None]).nonzero(as_tuple=True)
        offsets, wanted = self.at(columns, sizes, video, point, label), true_offsets[video, point]
        at_points = (video, point)
        nothing = offsets.new_zeros(*positive.shape, 2)
        count = nothing[..., 0].index_put(at_points, offsets.new_ones(len(offsets)), accumulate=True).clamp(min=1)
        mean = nothing.index_put(at_points, offsets, accumulate=True) / count[..., None]
        return Located(
            mean,
            nothing[..., 0].index_put(at_points, diou_loss(offsets, wanted), accumulate=True),
            temporal_iou(mean, true_offsets.to(mean.dtype)),
            torch.ones_like(classes, dtype=offsets.dtype).index_put(
                (video, point, label), temporal_iou(offsets, wanted.to(offsets.dtype))
            ),
        )


class TridentHead(LocalizationHead):
    """A head for the bins, and two more for the scores of every point as the start and the end of each class.

    Parameters
    ----------
    model : ModelRecipe
        Widths, number of layers, kernel sizes, bins and class prior.
    classes : int
        K.
    """

    def __init__(self, model: ModelRecipe, classes: int) -> None:
        layers, hidden = model.head_layers, model.head_width
        outputs = 2 * (model.trident_bins + 1)
        super().__init__(model.width, outputs, layers=layers, hidden=hidden, kernel=model.head_kernel)
        self.start, self.end = (
            Head(
                model.width, classes, layers=layers, hidden=hidden, kernel=model.trident_kernel, prior=model.class_prior
            )
            for _ in range(2)
        )
        self.reading = TridentReading(model.trident_bins)

    @property
    def reach(self) -> int:
        """Steps to either side that an output depends on."""
        return max(super().reach, self.start.reach)

    def complete(self, columns: Tensor, packed: PackedPyramid, scale: Tensor) -> Tensor:
        """Return boundary scores and bins: (B, P, 2 K + 2 M). The gradient of the scores stops at their heads."""
        scores = packed._replace(x=packed.x.detach()).run(self.start, self.end)
        return torch.cat((scores, F.relu(columns * scale)), dim=2)
