"""What every localization head offers: columns for every point, and how distances are read from them.

Legend: B videos in the batch, P points of all levels together, K classes, R columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from asl_kit.model.heads.layers import Head, PackedPyramid


class Located(NamedTuple):
    """How well the points of a batch locate the segments that they are assigned to."""

    offsets: Tensor
    """(B, P, 2): distances to start and end, in strides of the point; at least float32."""
    loss: Tensor
    """(B, P): distance-IoU loss."""
    tiou: Tensor
    """(B, P): temporal IoU with the segment."""
    tiou_by_class: Tensor
    """(B, P, K): 1 for classes that are not the point's; or (B, P, 1) if all classes have the same distances."""


class Reading(Protocol):
    """How the distances of a point to start and end are read from the columns of a localization head.

    Two readings are equal if the columns of their heads mean the same.
    """

    @property
    def class_columns(self) -> int:
        """So many columns of each class come first, side by side: all classes of the first, then of the second."""

    def at(self, columns: Tensor, sizes: Sequence[int], video: Tensor, point: Tensor, label: Tensor) -> Tensor:
        """Return distances of points for a class, in strides: (..., 2), at least float32.

        Parameters
        ----------
        columns : Tensor
            (B, P, R).
        sizes : sequence of int
            Number of points of each level; their sum is P.
        video, point, label : Tensor
            (...), int64: row, point and class of each.
        """

    def locate(
        self, columns: Tensor, sizes: Sequence[int], positive: Tensor, classes: Tensor, true_offsets: Tensor
    ) -> Located:
        """Compare the distances of all points with those of their segments.

        Parameters
        ----------
        columns, sizes
            As for `at`.
        positive : Tensor
            (B, P), bool: points that are assigned to a segment.
        classes : Tensor
            (B, P, K): 1 for the classes of the point.
        true_offsets : Tensor
            (B, P, 2); anything finite where not positive.
        """


class LocalizationHead(Head):
    """A head with columns from which the distances of every point are read."""

    reading: Reading

    def complete(self, columns: Tensor, packed: PackedPyramid, scale: Tensor) -> Tensor:
        """Return all columns: (B, P, R).

        Parameters
        ----------
        columns : Tensor
            (B, P, outputs): its own outputs.
        packed : PackedPyramid
            What they were made from, for further outputs.
        scale : Tensor
            (P, 1): the learned scale of every point's level.
        """
        raise NotImplementedError
