"""Decoding of the network's outputs into candidates: scored segments, before suppression.

Legend: B videos in the batch, P points of all levels, K classes, N candidates.

Everything has a fixed size, so that a GPU never waits for the host: of each level, a fixed number of candidates is
taken, and those that do not count have the score 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asl_kit.model.network import Points


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
) -> Candidates:
    """Return the candidates of each video before suppression.

    Parameters
    ----------
    logits, offsets : Tensor
        (B, P, K), (B, P, 2): the network's output.
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

    Returns
    -------
    Candidates
        (B, N), each level's by descending score.
    """
    scores = logits.float().sigmoid() * factor[..., None]
    return _best(scores, offsets, points, min_score, candidates_per_level, min_length)[0]


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
) -> Candidates:
    """Return the candidates for combinations of a class of each vocabulary, scored by the geometric mean.

    The geometric mean ranks combinations like the product of their probabilities, and thresholds keep their meaning.

    Labels number the combinations: with K1 classes in the second of two vocabularies, the classes c0 and c1 give the
    label ``c0 * K1 + c1``.

    Parameters
    ----------
    logits : sequence of Tensor
        (B, P, K) of each vocabulary.
    offsets, factor, points
        See `decode`.
    classes_per_point : int
        Number of highest-scoring classes of each vocabulary that are combined at a point.
    min_score, candidates_per_level, min_length
        See `decode`.
    """
    product = torch.ones_like(factor)[..., None]
    labels = torch.zeros_like(product, dtype=torch.int64)
    for own in logits:
        best, label = own.float().sigmoid().topk(min(classes_per_point, own.shape[2]), dim=2)
        product = (product[..., None] * best[..., None, :]).flatten(2)
        labels = (labels[..., None] * own.shape[2] + label[..., None, :]).flatten(2)
    scores = product ** (1 / len(logits)) * factor[..., None]
    found, index = _best(scores, offsets, points, min_score, candidates_per_level, min_length)
    return found._replace(labels=labels.flatten(1).gather(1, index))


def split_combination(label: int, classes: Sequence[int]) -> list[int]:
    """Return the class in each vocabulary of a label of `decode_combinations`.

    Examples
    --------
    >>> split_combination(2 * 300 + 5, [97, 300])
    [2, 5]
    """
    places = [math.prod(classes[number + 1 :]) for number in range(len(classes))]
    return [label // place % count for place, count in zip(places, classes, strict=True)]


def _best(
    scores: Tensor, offsets: Tensor, points: Points, min_score: float, candidates_per_level: int, min_length: float
) -> tuple[Candidates, Tensor]:
    """Return the highest of (B, P, K) scores as candidates, whose label is the column, and their index in P * K."""
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
    best, index = torch.cat(kept_scores, dim=1), torch.cat(kept, dim=1)
    point = index // classes
    position, stride = points.position[point], points.stride[point]
    reach = offsets.float().gather(1, point[..., None].expand(-1, -1, 2)) * stride[..., None]
    segments = torch.stack((position - reach[..., 0], position + reach[..., 1]), dim=2)
    counts = (best > min_score) & (segments[..., 1] - segments[..., 0] > min_length)
    return Candidates(segments, best * counts, index % classes), index
