"""Finished detections of several models fused: the same action, found by several, becomes one detection.

The detections of one class in one video are taken by falling score. Each joins the fused detection that it overlaps
most, if their tIoU is at least `FUSION_TIOU` and no other detection of its file is in there; else it begins a new one.
A fused segment is the mean of its members' segments, weighted by score and by the file's weight. Its score is the mean
of their scores, weighted by the files' weights; a file that has searched the video and has no such detection counts
with a score of 0.

This is Weighted Boxes Fusion (Solovyev et al., Image and Vision Computing 2021) in one dimension, with one change: of
each file, at most one detection joins. Detectors of actions report one action many times with falling scores, which
would lower the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.base.validation import check_weights
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError, UsageError, first_few

FUSION_TIOU = 0.5
MAX_FILES = 62
"""The files of a fused detection are the bits of an integer."""
TABLE_SIZE = 2**20
"""Detections that are fused at the same time, at most, unless one group has more."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class FusedFile:
    """A file of fused detections that was written."""

    path: Path
    sources: tuple[Path, ...]
    detections: Detections
    not_in_all: tuple[str, ...]
    """Videos that some sources have not searched."""


def fuse_files(
    predictions: Sequence[str | Path],
    out: str | Path,
    *,
    weights: Sequence[float] | None = None,
    min_tiou: float = FUSION_TIOU,
    table: TableOptions = DEFAULT_TABLE,
) -> FusedFile:
    """Fuse files of detections, as ``asl-kit fuse`` does.

    Parameters
    ----------
    predictions : sequence of paths
        Two files or more: ActivityNet detection JSON or tables (``.csv``).
    out : path
        The JSON file to write.
    weights : sequence of float, optional
        Weight of each file. Default: equal.
    min_tiou : float
        Detections with at least this tIoU are fused.
    table : TableOptions
        Columns and encoding of files that are tables.

    Raises
    ------
    UsageError
        If there are fewer than two files, weights are not positive numbers, one for each file, or `out` is a table.
    PredictionError
        If a file cannot be read, has a score below 0, or shares no video or no class with the first.
    """
    paths, target = [Path(path) for path in predictions], Path(out)
    if not 2 <= len(paths) <= MAX_FILES:
        raise UsageError(f"{len(paths)} files to fuse: give 2 to {MAX_FILES}")
    if target.suffix.lower() == ".csv":
        raise UsageError(f"{out}: fused detections are JSON", hint=f"for example -o {target.with_suffix('.json')}")
    chosen = check_weights(weights, len(paths), "files")
    tables = [read_predictions(path, table) for path in paths]
    for path, one in zip(paths, tables, strict=True):
        if len(one) and one.score.min() < 0:
            raise PredictionError(f"{path}: a score of {one.score.min():.6g}: scores below 0 cannot be averaged")
        for what, names in (("video", "video_ids"), ("class", "class_names")):
            first, own = getattr(tables[0], names), getattr(one, names)
            if first and own and set(first).isdisjoint(own):
                raise PredictionError(
                    f"{path}: has no {what} in common with {paths[0]}: {first_few(own, 3)} against"
                    f" {first_few(first, 3)}",
                    hint="`asl-kit check FILE --annotations annotations.json -o mended.json` brings both to the names"
                    " of the annotations",
                )
    fused = fuse(tables, chosen, min_tiou=min_tiou)
    write_predictions(target, fused)
    everywhere = set.intersection(*(set(one.video_ids) for one in tables))
    not_in_all = tuple(video_id for video_id in fused.video_ids if video_id not in everywhere)
    return FusedFile(target, tuple(paths), fused, not_in_all)


def fuse(tables: Sequence[Detections], weights: Sequence[float], *, min_tiou: float = FUSION_TIOU) -> Detections:
    """Return the fused detections of several tables: see this module.

    Scores are brought to one scale first: each becomes the mean, over the tables, of the scores of the same rank. This
    keeps the order of every table, and tables of one scale are hardly changed.

    Parameters
    ----------
    tables : sequence of Detections
        With scores of 0 or more. Videos and classes are matched by name.
    weights : sequence of float
        Weight of each table; above 0.
    min_tiou : float
        Detections with at least this tIoU are fused.
    """
    video_ids = tuple(dict.fromkeys(name for one in tables for name in one.video_ids))
    class_names = tuple(dict.fromkeys(name for one in tables for name in one.class_names))
    searched = np.zeros(len(video_ids))
    groups, rows = [], []
    scores = _on_one_scale([one.score for one in tables])
    for source, (one, weight, score) in enumerate(zip(tables, weights, scores, strict=True)):
        videos, classes = _places(one.video_ids, video_ids), _places(one.class_names, class_names)
        searched[videos] += weight
        groups.append(videos[one.video] * len(class_names) + classes[one.label])
        rows.append(_Rows(one.start_s, one.end_s, weight * score, np.full(len(one), source)))
    joined = _Rows.join(rows)
    group = np.concatenate(groups)
    # Of equal scores, the earlier file comes first, and in a file the earlier row.
    order = np.lexsort((-joined.score, group))
    fused_group, fused = _fuse_groups(group[order], joined.take(order), min_tiou)
    video, label = np.divmod(fused_group, max(len(class_names), 1))
    score = fused.score / searched[video]
    order = np.lexsort((-score, video))
    return Detections(
        video_ids=video_ids,
        video=video[order].astype(np.int32),
        start_s=fused.start_s[order],
        end_s=fused.end_s[order],
        score=score[order],
        label=label[order].astype(np.int32),
        class_names=class_names,
    )


class _Rows(NamedTuple):
    """Detections, or what they are fused into."""

    start_s: Floats
    end_s: Floats
    score: Floats
    """Times the weight of the file; of fused detections, the sum."""
    source: Indices
    """Number of the file; of fused detections, a bit for each."""

    def take(self, which: Indices) -> _Rows:
        """Return some rows."""
        return _Rows(self.start_s[which], self.end_s[which], self.score[which], self.source[which])

    @classmethod
    def join(cls, parts: Sequence[_Rows]) -> _Rows:
        """Return all rows as one."""
        columns: Iterable[Any] = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(*columns)


def _places(names: Sequence[str], everything: Sequence[str]) -> Indices:
    numbers = {name: number for number, name in enumerate(everything)}
    return np.array([numbers[name] for name in names], np.int64)


def _on_one_scale(scores: Sequence[Floats]) -> list[Floats]:
    """Replace each score by the mean of the scores of its rank; beyond the end of a table, its last score counts."""
    orders = [np.argsort(-one, kind="stable") for one in scores]
    falling = [one[order] for one, order in zip(scores, orders, strict=True) if len(one)]
    longest = max(map(len, falling), default=0)
    mean = np.mean([np.pad(one, (0, longest - len(one)), mode="edge") for one in falling], axis=0) if falling else None
    found = []
    for one, order in zip(scores, orders, strict=True):
        scaled = np.empty(len(one))
        if mean is not None:
            scaled[order] = mean[: len(one)]
        found.append(scaled)
    return found


def _fuse_groups(group: Indices, rows: _Rows, min_tiou: float) -> tuple[Indices, _Rows]:
    """Fuse the rows of each group, which are sorted by group and falling score; return the fused rows' groups too."""
    first = np.flatnonzero(np.diff(group, prepend=-1))
    size = np.diff(first, append=len(group))
    largest_first = np.argsort(-size, kind="stable")
    found = [(np.zeros(0, np.int64), rows.take(np.zeros(0, np.int64)))]
    while len(largest_first):
        count = max(TABLE_SIZE // size[largest_first[0]], 1)
        some, largest_first = largest_first[:count], largest_first[count:]
        line, fused = _fuse_table(rows, first[some], size[some], min_tiou)
        found.append((group[first[some]][line], fused))
    groups, parts = zip(*found, strict=True)
    return np.concatenate(groups), _Rows.join(parts)


def _fuse_table(rows: _Rows, first: Indices, size: Indices, min_tiou: float) -> tuple[Indices, _Rows]:
    """Fuse groups together, given where each begins and its size, the largest first.

    Returns
    -------
    (N,), rows
        The fused rows, and the group of each among these.
    """
    shape = (len(first), int(size[0]))
    weight, weighted_start, weighted_end, start, end = (np.zeros(shape) for _ in range(5))
    score, sources, used = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(len(first), np.int64)
    for rank in range(shape[1]):
        groups = int(np.searchsorted(-size, -rank))  # those with more rows than `rank`
        line = np.arange(groups)
        own = rows.take(first[:groups] + rank)
        bit = 1 << own.source
        begun = slice(0, int(used[:groups].max()) + 1)
        here = (slice(0, groups), begun)
        overlap = np.minimum(end[here], own.end_s[:, None]) - np.maximum(start[here], own.start_s[:, None])
        np.maximum(overlap, 0, out=overlap)
        union = end[here] - start[here] + (own.end_s - own.start_s)[:, None] - overlap
        tiou = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
        tiou[(sources[here] & bit[:, None] != 0) | (sources[here] == 0)] = -1
        best = tiou.argmax(axis=1)
        joins = tiou[line, best] >= min_tiou
        place = (line, np.where(joins, best, used[:groups]))
        used[:groups] += ~joins
        share = np.maximum(own.score, np.finfo(float).tiny)  # scores of 0 have times as well
        weight[place] += share
        weighted_start[place] += share * own.start_s
        weighted_end[place] += share * own.end_s
        start[place], end[place] = weighted_start[place] / weight[place], weighted_end[place] / weight[place]
        score[place] += own.score
        sources[place] |= bit
    line, column = np.nonzero(sources)
    return line, _Rows(start[line, column], end[line, column], score[line, column], sources[line, column])
