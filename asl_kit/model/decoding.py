"""Decoding of the network's outputs into candidates: scored segments, before suppression.

Legend: B videos in the batch, P points of all levels, K classes, N candidates.

Everything has a fixed size, so that a GPU never waits for the host: of each level, a fixed number of candidates is
taken, and those that do not count have the score 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from asl_kit.model.heads import OFFSETS, Reading
from asl_kit.model.network import Points

Label = TypeVar("Label", int, Tensor)


class Candidates(NamedTuple):
    """Scored segments."""

    segments: Tensor
    """(..., N, 2): start and end, in features of level 0 or in seconds."""
    scores: Tensor
    """(..., N); 0 stands for no candidate."""
    labels: Tensor
    """(..., N), int64."""


def decode(
    logits: Tensor,
    offsets: Tensor,
    factor: Tensor,
    points: Points,
    *,
    min_score: float,
    candidates_per_level: int,
    min_length: float,
    reading: Reading = OFFSETS,
    first_class: int = 0,
) -> Candidates:
    """Return the candidates of each video before suppression.

    Parameters
    ----------
    logits, offsets : Tensor
        (B, P, K), (B, P, R): the network's output.
    factor : Tensor
        (B, P): factor of the scores of each point; 0 for points that do not belong to the video.
    points : Points
        Points of the network's output.
    min_score : float
        Candidates have a higher score.
    candidates_per_level : int
        Number of highest-scoring candidates kept of each level. Of equal scores, the earlier point comes first, then
        the lower class.
    min_length : float
        Candidates are longer than this, in features of level 0.
    reading : Reading
        How distances are read from `offsets`.
    first_class : int
        Number of the first of the K classes among those that `offsets` knows.

    Returns
    -------
    Candidates
        (B, N), each level's by descending score.
    """
    scores = logits.float().sigmoid() * factor[..., None]
    best, index = _best(scores, points, candidates_per_level)
    video, point, label = _places(index, scores.shape[2])
    found = reading.at(offsets, points.sizes, video, point, label + first_class)
    return _candidates(best, label, found, point, points, min_score, min_length)


def decode_combinations(
    logits: Sequence[Tensor],
    offsets: Tensor,
    factor: Tensor,
    points: Points,
    *,
    classes_per_point: int,
    min_score: float,
    candidates_per_level: int,
    min_length: float,
    reading: Reading = OFFSETS,
) -> Candidates:
    """Return the candidates for combinations of a class of each vocabulary, scored by the geometric mean.

    The geometric mean ranks combinations like the product of their probabilities, and thresholds keep their meaning.

    Labels number the combinations: with K1 classes in the second of two vocabularies, the classes c0 and c1 give the
    label ``c0 * K1 + c1``. Where each class has its own distances, those of a combination are their means.

    Parameters
    ----------
    logits : sequence of Tensor
        (B, P, K) of each vocabulary.
    offsets, factor, points
        See `decode`.
    classes_per_point : int
        Number of highest-scoring classes of each vocabulary that are combined at a point.
    min_score, candidates_per_level, min_length, reading
        See `decode`.
    """
    product = torch.ones_like(factor)[..., None]
    labels = torch.zeros_like(product, dtype=torch.int64)
    for own in logits:
        best, label = own.float().sigmoid().topk(min(classes_per_point, own.shape[2]), dim=2)
        product = (product[..., None] * best[..., None, :]).flatten(2)
        labels = (labels[..., None] * own.shape[2] + label[..., None, :]).flatten(2)
    scores = product ** (1 / len(logits)) * factor[..., None]
    best, index = _best(scores, points, candidates_per_level)
    video, point, _ = _places(index, scores.shape[2])
    label = labels.flatten(1).gather(1, index)
    classes = [own.shape[2] for own in logits]
    firsts = itertools.accumulate(classes[:-1], initial=0)
    found = [
        reading.at(offsets, points.sizes, video, point, own + first)
        for own, first in zip(split_combination(label, classes), firsts, strict=True)
    ]
    return _candidates(best, label, torch.stack(found).mean(0), point, points, min_score, min_length)


def split_combination(label: Label, classes: Sequence[int]) -> list[Label]:
    """Return the class in each vocabulary of a label of `decode_combinations`; of a tensor of labels, tensors.

    Examples
    --------
    >>> split_combination(2 * 300 + 5, [97, 300])
    [2, 5]
    """
    places = [math.prod(classes[number + 1 :]) for number in range(len(classes))]
    return [label // place % count for place, count in zip(places, classes, strict=True)]


def _best(scores: Tensor, points: Points, candidates_per_level: int) -> tuple[Tensor, Tensor]:
    """Return the highest of (B, P, K) scores of each level, and their index in P * K: both (B, N)."""
    classes = scores.shape[2]
    kept_scores, kept = [], []
    first = 0
    for size in points.sizes:
        level = scores[:, first : first + size].flatten(1)
        last = level.shape[1] - 1
        # One integer orders by score, then by place, so that the order of equal scores does not depend on the batch:
        # the bits of a positive float32 grow with it.
        place = torch.arange(last, -1, -1, device=level.device)
        keys = (level.view(torch.int32).long() << 32 | place).topk(min(candidates_per_level, last + 1), dim=1).values
        kept_scores.append((keys >> 32).int().view(torch.float32))
        kept.append(last - (keys & 0xFFFFFFFF) + first * classes)
        first += size
    return torch.cat(kept_scores, dim=1), torch.cat(kept, dim=1)


def _places(index: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the row, the point and the column of indices in P * K: each (B, N)."""
    row = torch.arange(len(index), device=index.device)[:, None].expand_as(index)
    return row, index // classes, index % classes


def _candidates(
    best: Tensor, label: Tensor, offsets: Tensor, point: Tensor, points: Points, min_score: float, min_length: float
) -> Candidates:
    position, stride = points.position[point], points.stride[point]
    reach = offsets.float() * stride[..., None]
    segments = torch.stack((position - reach[..., 0], position + reach[..., 1]), dim=2)
    counts = (best > min_score) & (segments[..., 1] - segments[..., 0] > min_length)
    return Candidates(segments, best * counts, label)
