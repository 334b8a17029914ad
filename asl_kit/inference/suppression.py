"""Soft-NMS and voting: from candidates to detections, for all classes of many videos at once.

A row is one list of candidates: a video in a vocabulary. A group is the candidates of a row that suppress each other:
those of a class. Groups do not touch each other, so a round picks the best of every group, and groups of about the same
size form one table.

Legend: R rows, G groups in a table, W candidates in its largest group.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from asl_kit.model.decoding import Candidates

AREA_EPSILON = 1e-6  # added to a segment's length, as in ActionFormer's soft-NMS
TABLE_SIZE = 2**14  # candidates in a table of several groups: tables stay in the cache, and torch uses no threads
Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


def suppress(
    candidates: Candidates,
    *,
    sigma: float,
    min_score: float,
    max_detections: int,
    voting_tiou: float,
    voting_weight: Literal["score_and_tiou", "score"] = "score_and_tiou",
    per_class: bool = True,
) -> list[Candidates]:
    """Return the detections of each row: Gaussian soft-NMS within each class, then voting.

    Soft-NMS: the candidate with the highest score is picked, and the score of every other one with temporal IoU o to it
    is multiplied by ``exp(-o^2 / sigma)``; and so on. Candidates below `min_score` are dropped, except for the best of
    a class. Of equal scores, the lower class comes first, then the earlier candidate.

    Voting: start and end of each detection become the weighted means of those of all candidates of its class. Weights
    are score before suppression times temporal IoU, or that score alone, and 0 below `voting_tiou`.

    Parameters
    ----------
    candidates : Candidates
        (R, N), on the CPU.
    sigma, min_score, max_detections, voting_tiou, voting_weight, per_class
        See the recipe's `inference` table; `max_detections` of each row are kept, and with a `voting_tiou` of 0 nobody
        votes.

    Returns
    -------
    list of Candidates
        (N,) of each row, sorted by descending score.

    References
    ----------
    Bodla et al.: Soft-NMS, ICCV 2017.
    """
    row, place = candidates.scores.numpy().nonzero()
    labels = candidates.labels.numpy()[row, place]
    group = row * (labels.max(initial=0) + 1) + labels if per_class else row
    order = torch.from_numpy(group).sort(stable=True).indices.numpy()
    row, place, labels, group = row[order], place[order], labels[order], group[order]
    segments, scores = candidates.segments.numpy()[row, place], candidates.scores.numpy()[row, place]
    tables = list(_tables(segments, scores, row, np.flatnonzero(np.diff(group, prepend=-1))))

    rows = len(candidates.scores)
    picks = _soft_nms(tables, rows, sigma, min_score, max_detections)
    picks = picks.take(np.lexsort((group[picks.place], -picks.score, picks.row)))
    rank = np.arange(len(picks.row)) - np.searchsorted(picks.row, picks.row)
    picks = picks.take(rank < max_detections)
    if voting_tiou:
        segments = _vote(tables, segments, picks.place, voting_tiou, by_tiou=voting_weight == "score_and_tiou")
    ends = np.searchsorted(picks.row, np.arange(1, rows))
    columns = (segments[picks.place], picks.score, labels[picks.place])
    return [
        Candidates(*map(torch.from_numpy, own)) for own in zip(*(np.split(each, ends) for each in columns), strict=True)
    ]


@dataclass
class _Table:
    """Groups of similar size, one a line; shorter ones are filled up with candidates of score 0."""

    start: Floats
    """(G, W)."""
    end: Floats
    """(G, W)."""
    score: Floats
    """(G, W)."""
    place: Indices
    """(G, W), of each candidate among all; -1 where filled up."""
    row: Indices
    """(G,)."""


def _tables(segments: Floats, scores: Floats, row: Indices, first: Indices) -> Iterator[_Table]:
    """Yield the sorted candidates as tables, given their rows and the first candidate of each group."""
    size = np.diff(first, append=len(scores))
    width = np.ceil(np.log2(size))
    for one in np.unique(width):
        same = np.flatnonzero(width == one)
        for members in np.array_split(same, -(-len(same) * 2 ** int(one) // TABLE_SIZE)):
            column = np.arange(size[members].max())
            inside = column < size[members, None]
            place = np.where(inside, first[members, None] + column, -1)
            start, end, score = (
                np.where(inside, each[place], each.dtype.type(0)) for each in (segments[:, 0], segments[:, 1], scores)
            )
            yield _Table(start, end, score, place, row[first[members]])


def _soft_nms(tables: list[_Table], rows: int, sigma: float, min_score: float, max_detections: int) -> _Picks:
    """Return the `max_detections` best picks of each row, and some more; those of a group in order."""
    pools = [_Pool(table) for table in tables]
    bound = np.full(rows, min_score)
    picks = [_Picks(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))]
    unseen = 0
    while pools:
        for pool in pools:
            picks.append(pool.pick(sigma, bound))
            unseen += len(picks[-1].score)
        if unseen > rows * max_detections // 8:
            unseen = 0
            picks = [_Picks.join(picks)]
            _raise_bounds(bound, picks[0], max_detections)
        pools = [pool for pool in pools if pool.shrink(bound)]
    return _Picks.join(picks)


class _Picks(NamedTuple):
    """Candidates picked by soft-NMS."""

    place: Indices
    """(N,), among all candidates."""
    score: Floats
    """(N,), decayed."""
    row: Indices
    """(N,)."""

    def take(self, which: NDArray[Any]) -> _Picks:
        """Return some picks."""
        return _Picks(*(column[which] for column in self))

    @classmethod
    def join(cls, picks: Sequence[_Picks]) -> _Picks:
        """Return all picks as one."""
        return cls(*(np.concatenate(column) for column in zip(*picks, strict=True)))


def _raise_bounds(bound: Floats, picks: _Picks, max_detections: int) -> None:
    """Raise each bound to the last of the row's `max_detections` best picks: lower ones are out."""
    order = np.argsort(picks.row, kind="stable")
    ends = np.searchsorted(picks.row[order], np.arange(len(bound) + 1))
    for row, (start, end) in enumerate(itertools.pairwise(ends)):
        if end - start >= max_detections:
            own = picks.score[order[start:end]]
            bound[row] = max(bound[row], np.partition(own, -max_detections)[-max_detections])


class _Pool:
    """The candidates of a table that have not been picked yet."""

    def __init__(self, table: _Table) -> None:
        inside = table.place >= 0
        self._start = table.start
        # Picked candidates, and those that fill up the table, overlap nothing and score less than any.
        self._end = np.where(inside, table.end, -np.inf).astype(table.end.dtype)
        self._score = np.where(inside, table.score, -1).astype(table.score.dtype)
        self._length = table.end - table.start + AREA_EPSILON
        self._place = table.place
        self._row = table.row
        self._going = np.ones(len(table.row), bool)  # the best of a class is picked however low it scores
        self._rounds = 0

    def pick(self, sigma: float, bound: Floats) -> _Picks:
        """Pick the best of each group that reaches its row's bound, and decay the scores of the others."""
        line = np.arange(len(self._row))
        best = self._score.argmax(1)
        scores = self._score[line, best]
        if self._rounds:
            self._going = scores >= bound[self._row]
        self._rounds += 1
        going = self._going
        found = _Picks(self._place[line, best][going], scores[going], self._row[going])
        overlap = np.minimum(self._end, self._end[line, best][:, None])
        overlap -= np.maximum(self._start, self._start[line, best][:, None])
        np.maximum(overlap, 0, out=overlap)
        union = self._length + self._length[line, best][:, None]
        union -= overlap
        overlap /= union
        overlap *= overlap
        overlap *= -1 / sigma
        self._score *= torch.from_numpy(overlap).exp_().numpy()
        self._score[line, best] = -1
        self._end[line, best] = -np.inf
        return found

    def shrink(self, bound: Floats) -> bool:
        """Leave out groups that are done, and now and then candidates below the bound; return whether any is left."""
        if np.count_nonzero(self._going) < 0.75 * len(self._going):
            self._keep(self._going)
        if self._rounds % 16 == 0 and len(self._row):
            reaches = self._score >= bound[self._row, None]
            width = max(int(reaches.sum(1).max()), 1)
            if width < 0.75 * reaches.shape[1]:
                # The sort is stable: of equal scores, the earlier candidate still comes first.
                self._keep(np.arange(len(self._row))[:, None], np.argsort(~reaches, axis=1, kind="stable")[:, :width])
        return bool(self._going.any())

    def _keep(self, lines: NDArray[Any], *columns: Indices) -> None:
        for name in ("_start", "_end", "_score", "_length", "_place"):
            setattr(self, name, getattr(self, name)[(lines, *columns)])
        if not columns:
            self._row, self._going = self._row[lines], self._going[lines]


def _vote(tables: list[_Table], segments: Floats, picked: Indices, tiou: float, *, by_tiou: bool) -> Floats:
    """Return the segments of all candidates, with those of the picked ones replaced by the weighted means."""
    voted = segments.copy()
    is_picked = np.zeros(len(segments) + 1, bool)  # the last for places of -1
    is_picked[picked] = True
    for table in tables:
        lines, columns = is_picked[table.place].nonzero()
        step = max(TABLE_SIZE // table.place.shape[1], 1)
        for first in range(0, len(lines), step):
            line, own = lines[first : first + step], columns[first : first + step]
            start, end = table.start[line], table.end[line]
            own_start, own_end = table.start[line, own][:, None], table.end[line, own][:, None]
            overlap = np.minimum(end, own_end)
            overlap -= np.maximum(start, own_start)
            np.maximum(overlap, 0, out=overlap)
            union = end - start
            union += own_end - own_start
            union -= overlap
            overlap /= np.maximum(union, AREA_EPSILON, out=union)
            weight = table.score[line] * (overlap >= tiou)
            if by_tiou:
                weight *= overlap
            weight[np.arange(len(line)), own] += np.finfo(weight.dtype).tiny  # without other weights, its own ends
            weight /= weight.sum(1, keepdims=True)
            for ends, side in ((start, 0), (end, 1)):
                voted[table.place[line, own], side] = np.einsum("nw,nw->n", weight, ends)
    return voted
