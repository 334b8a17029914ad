"""Decoding of the network's outputs into detections of a video: candidates, soft-NMS, voting."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asl_kit.model.network import Points

AREA_EPSILON = 1e-6  # added to a segment's length, as in ActionFormer's soft-NMS


class Candidates(NamedTuple):
    """Scored segments of one video."""

    segments: Tensor
    """(N, 2): start and end, in features of level 0 or in seconds."""
    scores: Tensor
    """(N,)."""
    labels: Tensor
    """(N,), int64."""


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
    """Return the candidates of one video before suppression.

    Parameters
    ----------
    logits, offsets : Tensor
        (P, K), (P, 2): one video of the network's output.
    factor : Tensor
        (P,): factor of the scores of each point; 0 for points that do not belong to the video.
    points : Points
        Points of the network's output.
    min_score : float
        Candidates have a higher score.
    candidates_per_level : int
        Number of highest-scoring candidates kept of each level.
    min_length : float
        Candidates are longer than this, in features of level 0.
    """
    scores = logits.float().sigmoid() * factor[:, None]
    found, _ = _best(scores, offsets, points, min_score, candidates_per_level, min_length)
    return found


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
        (P, K) of each vocabulary.
    offsets, factor, points
        See `decode`.
    classes_per_point : int
        Number of highest-scoring classes of each vocabulary that are combined at a point.
    min_score, candidates_per_level, min_length
        See `decode`.
    """
    product = torch.ones_like(factor)[:, None]
    labels = torch.zeros_like(product, dtype=torch.int64)
    for own in logits:
        best, label = own.float().sigmoid().topk(min(classes_per_point, own.shape[1]), dim=1)
        product = (product[:, :, None] * best[:, None]).flatten(1)
        labels = (labels[:, :, None] * own.shape[1] + label[:, None]).flatten(1)
    scores = product ** (1 / len(logits)) * factor[:, None]
    found, point = _best(scores, offsets, points, min_score, candidates_per_level, min_length)
    return found._replace(labels=labels[point, found.labels])


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
    """Return the highest of (P, K) scores as candidates, whose label is the column, and the point of each."""
    classes = scores.shape[1]
    kept = []
    first = 0
    for size in points.sizes:
        level = scores[first : first + size].flatten()
        best, index = level.topk(min(candidates_per_level, len(level)))
        kept.append(index[best > min_score] + first * classes)
        first += size
    chosen = torch.cat(kept)
    point, label = chosen // classes, chosen % classes
    position, stride = points.position[point], points.stride[point]
    reach = offsets[point].float() * stride[:, None]
    segments = torch.stack((position - reach[:, 0], position + reach[:, 1]), dim=1)
    long_enough = segments[:, 1] - segments[:, 0] > min_length
    found = Candidates(segments[long_enough], scores.flatten()[chosen][long_enough], label[long_enough])
    return found, point[long_enough]


def soft_nms(
    candidates: Candidates, *, sigma: float, min_score: float, max_detections: int, per_class: bool = True
) -> Candidates:
    """Gaussian soft-NMS within each class: the highest-scoring segment is kept, and the scores of the others decay.

    The score of a candidate with temporal IoU o to a kept one is multiplied by ``exp(-o^2 / sigma)``; candidates below
    `min_score` are dropped, except for the best of a class. The `max_detections` best of all classes are picked one
    after the other; each pick updates all candidates of its class.

    Parameters
    ----------
    candidates : Candidates
        Candidates on the CPU.
    sigma, min_score, max_detections, per_class
        See the recipe's `inference` table.

    Returns
    -------
    Candidates
        Sorted by descending score.

    References
    ----------
    Bodla et al.: Soft-NMS, ICCV 2017.
    """
    classes = [_Pool(candidates, chosen) for chosen in _groups(candidates.labels, per_class)]
    # The best of each class. Picks within a class have descending scores, so merging the classes gives the best of all.
    heap = [(-pool.best, index) for index, pool in enumerate(classes)]
    heapq.heapify(heap)
    picked: list[int] = []
    scores: list[float] = []
    while heap and len(scores) < max_detections:
        negative_score, index = heapq.heappop(heap)
        pool = classes[index]
        picked.append(pool.pick(sigma))
        scores.append(-negative_score)
        if pool.best >= min_score:
            heapq.heappush(heap, (-pool.best, index))
    return Candidates(
        candidates.segments[picked], torch.tensor(scores, dtype=candidates.scores.dtype), candidates.labels[picked]
    )


def _groups(labels: Tensor, per_class: bool) -> list[Tensor]:
    """Return the indices of the candidates of each class, or of all together."""
    if not per_class:
        return [torch.arange(len(labels))] if len(labels) else []
    return [(labels == label).nonzero().squeeze(1) for label in labels.unique()]


class _Pool:
    """Candidates that suppress each other and have not been picked yet."""

    def __init__(self, candidates: Candidates, places: Tensor) -> None:
        self._places = places
        self._start, self._end = candidates.segments[places].numpy().T.copy()
        self._length = self._end - self._start + AREA_EPSILON
        self._scores = candidates.scores[places].numpy().copy()
        self._next = int(self._scores.argmax())

    @property
    def best(self) -> float:
        """Highest remaining score."""
        return float(self._scores[self._next])

    def pick(self, sigma: float) -> int:
        """Remove the best candidate, decay the scores of the others, and return its index among all candidates."""
        picked = self._next
        start, end = self._start[picked], self._end[picked]
        overlap = (self._end.clip(max=end) - self._start.clip(min=start)).clip(min=0)
        overlap /= self._length + self._length[picked] - overlap
        overlap *= overlap
        overlap *= -1 / sigma
        touched = overlap.nonzero()[0]
        self._scores[touched] *= torch.from_numpy(overlap[touched]).exp_().numpy()
        self._scores[picked] = -1.0
        self._next = int(self._scores.argmax())
        return int(self._places[picked])


def vote(kept: Candidates, candidates: Candidates, *, tiou: float, per_class: bool = True) -> Candidates:
    """Replace the ends of each kept segment by the weighted mean of all candidates of its class that overlap it.

    Weights are score times temporal IoU, and 0 below `tiou`.

    Parameters
    ----------
    kept : Candidates
        Candidates after suppression.
    candidates : Candidates
        Candidates before suppression, including the kept ones.
    tiou : float
        Minimum temporal IoU; 0 changes nothing.
    per_class : bool
        False: use the candidates of all classes.
    """
    if not tiou:
        return kept
    segments = kept.segments.clone()
    for label in kept.labels.unique() if per_class else [None]:
        mine, others = (slice(None),) * 2 if label is None else (kept.labels == label, candidates.labels == label)
        ours, theirs = kept.segments[mine], candidates.segments[others]
        low = torch.maximum(ours[:, None, 0], theirs[None, :, 0])
        high = torch.minimum(ours[:, None, 1], theirs[None, :, 1])
        overlap = (high - low).clamp(min=0)
        union = (ours[:, 1] - ours[:, 0])[:, None] + (theirs[:, 1] - theirs[:, 0])[None] - overlap
        overlap = overlap / union.clamp(min=AREA_EPSILON)
        weight = candidates.scores[others] * overlap * (overlap >= tiou)
        segments[mine] = (weight @ theirs) / weight.sum(1, keepdim=True)
    return Candidates(segments, kept.scores, kept.labels)
