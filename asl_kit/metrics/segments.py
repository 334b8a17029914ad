"""Segments as columns of numbers, their temporal IoU, and duplicates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

DUPLICATE_TOLERANCE_S = 1e-3  # one millisecond, as in ActionFormer and OpenTAD


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of numbered videos and classes, as columns of equal length (N,).

    Parameters
    ----------
    video : (N,) int
        Number of the video.
    start_s, end_s : (N,) float
        The half-open interval [start_s, end_s), in seconds.
    label : (N,) int
        Number of the class.

    Raises
    ------
    ValueError
        If a column is not one-dimensional or differs in length.
    """

    video: NDArray[np.integer]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    label: NDArray[np.integer]

    def __post_init__(self) -> None:
        for column in fields(self):
            values = getattr(self, column.name)
            if values.shape != self.video.shape or values.ndim != 1:
                raise ValueError(f"{column.name} has shape {values.shape}, expected ({len(self.video)},) like video")

    def __len__(self) -> int:
        return len(self.video)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """Return the given rows, by number or by mask."""
        return type(self)(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


@dataclass(frozen=True, eq=False)
class ScoredSegments(Segments):
    """Detections: `Segments` with finite scores; a higher score is more confident."""

    score: NDArray[np.float64]


def temporal_iou(
    start_a_s: ArrayLike, end_a_s: ArrayLike, start_b_s: ArrayLike, end_b_s: ArrayLike
) -> NDArray[np.float64]:
    """Return the intersection over union of segments a and b, element by element, with broadcasting.

    The arithmetic is that of ActivityNet's ``segment_iou``, operation by operation, with one
    difference: two segments without length have tIoU 0. The official code divides 0 by 0,
    and counts the result as a match wherever the two segments are.
    """
    start_a_s, end_a_s = np.asarray(start_a_s, np.float64), np.asarray(end_a_s, np.float64)
    start_b_s, end_b_s = np.asarray(start_b_s, np.float64), np.asarray(end_b_s, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # times above 1e307 s do not overlap
        intersection_s = np.maximum(np.minimum(end_a_s, end_b_s) - np.maximum(start_a_s, start_b_s), 0.0)
        union_s: NDArray[np.float64] = (end_b_s - start_b_s) + (end_a_s - start_a_s) - intersection_s
    tiou = np.zeros_like(union_s)
    np.divide(intersection_s, union_s, out=tiou, where=(union_s > 0) & np.isfinite(union_s))
    return tiou


def hull_iou(
    start_a_s: NDArray[np.float64],
    end_a_s: NDArray[np.float64],
    start_b_s: NDArray[np.float64],
    end_b_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the intersection over the time from the first start to the last end, element by element.

    For segments that overlap this is the tIoU, with other rounding errors than `temporal_iou`: the
    arithmetic of THUMOS14's tool and of the Ego4D Moment Queries challenge.
    """
    with np.errstate(over="ignore"):
        intersection_s = np.minimum(end_a_s, end_b_s) - np.maximum(start_a_s, start_b_s)
        hull_s = np.maximum(end_a_s, end_b_s) - np.minimum(start_a_s, start_b_s)
    result = np.zeros_like(intersection_s)
    np.divide(intersection_s, hull_s, out=result, where=(intersection_s > 0) & np.isfinite(hull_s))
    return result


def drop_duplicates(truth: Segments, tolerance_s: float = DUPLICATE_TOLERANCE_S) -> NDArray[np.int64]:
    """Return the rows of `truth` that are neither duplicates nor shorter than the tolerance.

    A row is a duplicate if an earlier row that is kept has the same video and class, and its
    start and end differ by at most `tolerance_s` (``remove_duplicate_annotations`` of
    ActionFormer and OpenTAD).
    """
    kept: dict[tuple[int, int], list[tuple[float, float]]] = {}
    rows = []
    columns = (truth.video.tolist(), truth.label.tolist(), truth.start_s.tolist(), truth.end_s.tolist())
    for row, (video, label, start_s, end_s) in enumerate(zip(*columns, strict=True)):
        others = kept.setdefault((video, label), [])
        if end_s - start_s < tolerance_s or any(
            abs(start_s - other_start_s) <= tolerance_s and abs(end_s - other_end_s) <= tolerance_s
            for other_start_s, other_end_s in others
        ):
            continue
        others.append((start_s, end_s))
        rows.append(row)
    return np.array(rows, np.int64)
