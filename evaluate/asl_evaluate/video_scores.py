"""Scores of whole videos from another model, which give detections their classes.

Most ActivityNet videos contain one class. Models detect segments without a class there, and a video classifier
names it: every detection gets the classes with the highest scores in its video.

The file is JSON in one of two layouts:

- ``{"class": [NAME, ...], "results": {VIDEO: [SCORE, ...]}}``, one score per class in that order, like
  the files that ActionFormer and OpenTAD use (``cuhk_val_simp_7.json``); ``classes`` is accepted too;
- ``{"results": {VIDEO: {NAME: SCORE, ...}}}``.

Video names may omit ``v_``. Scores are 0 or more.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_kit.base.files import read_json
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError, first_few

PER_VIDEO = 200
"""Detections of each video that are used, those of highest score; as in ActionFormer."""
DEFAULT_TOP_K = 2
NAME_PREFIX = "v_"
FORMAT_HINT = 'expected {"class": [NAME, ...], "results": {VIDEO: [SCORE, ...]}} or {"results": {VIDEO: {NAME: SCORE}}}'


@dataclass(frozen=True, eq=False)
class VideoScores:
    """Scores of videos by class."""

    class_names: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    """(C,) by video id; 0 or more."""

    def find(self, video_id: str) -> NDArray[np.float64] | None:
        """Return the scores of a video, (C,), named with or without ``v_``; None if there are none."""
        for name in (video_id, video_id.removeprefix(NAME_PREFIX), NAME_PREFIX + video_id):
            if name in self.scores:
                return self.scores[name]
        return None


def read_video_scores(path: Path) -> VideoScores:
    """Read scores of videos in either layout.

    Raises
    ------
    MissingFileError
        If there is no such file.
    PredictionError
        If it is neither layout, or a score is below 0 or not finite. Names file, video and class.
    """
    document = read_json(path, PredictionError)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, dict) or not results:
        raise PredictionError(f"{path}: field 'results' must be an object with videos", hint=FORMAT_HINT)
    names = document.get("class", document.get("classes"))
    if names is None:
        if not all(isinstance(entry, dict) for entry in results.values()):
            raise PredictionError(f"{path}: field 'class' with the names of the classes is missing", hint=FORMAT_HINT)
        names = list(dict.fromkeys(name for entry in results.values() for name in entry))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise PredictionError(f"{path}: class: expected a list of names", hint=FORMAT_HINT)
    if len(set(names)) != len(names):
        repeated = next(name for place, name in enumerate(names) if name in names[:place])
        raise PredictionError(f"{path}: class: '{repeated}' occurs twice")
    return VideoScores(
        tuple(names), {video: _row(entry, names, f"{path}: video '{video}'") for video, entry in results.items()}
    )


def _row(entry: object, names: Sequence[str], place: str) -> NDArray[np.float64]:
    if isinstance(entry, dict):
        unknown = [name for name in entry if name not in names]
        if unknown:
            raise PredictionError(f"{place}: class '{unknown[0]}' is not among the {len(names)} of field 'class'")
        entry = [entry.get(name, 0.0) for name in names]
    if not isinstance(entry, list) or len(entry) != len(names):
        found = f"{len(entry)}" if isinstance(entry, list) else type(entry).__name__
        raise PredictionError(f"{place}: expected {len(names)} scores, one a class, found {found}", hint=FORMAT_HINT)
    for name, value in zip(names, entry, strict=True):
        if not _is_score(value):
            raise PredictionError(
                f"{place}, class '{name}': expected a number not below 0, found {value!r}",
                hint="take the exponential or the sigmoid of logits first",
            )
    return np.array(entry, np.float64)


def _is_score(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max


def fuse(
    detections: Detections, scores: VideoScores, top_k: int = DEFAULT_TOP_K, *, videos: Container[str] | None = None
) -> Detections:
    """Give every detection the best classes of its video; the score is the square root of the product of both scores.

    The labels of the detections are ignored. Of each video, the `PER_VIDEO` detections of highest score are used.
    Classes of equal score are in the order of `VideoScores.class_names`.

    Parameters
    ----------
    detections : Detections
        With scores of 0 or more.
    scores : VideoScores
        Scores of every video with a detection.
    top_k : int
        Number of classes that each detection gets.
    videos : container of str, optional
        The videos to keep. Default: all.

    Raises
    ------
    PredictionError
        If a video has detections and no scores, or a detection's score is below 0.

    References
    ----------
    ActionFormer, ``libs/utils/postprocessing.py``, ``postprocess_results``. OpenTAD multiplies
    without the root for some files: the order of detections, and so mAP, is the same.
    """
    if len(detections) and float(detections.score.min()) < 0:
        raise PredictionError("scores below 0 cannot be combined with scores of videos")
    order = np.lexsort((detections.end_s, detections.start_s, -detections.score, detections.video))
    video = detections.video[order]
    asked = np.array([videos is None or name in videos for name in detections.video_ids], bool)
    rows = order[(np.arange(len(order)) - np.searchsorted(video, video) < PER_VIDEO) & asked[video]]
    video = detections.video[rows]

    top_k = min(top_k, len(scores.class_names))
    best = np.zeros((len(detections.video_ids), top_k), np.int64)
    weight = np.zeros((len(detections.video_ids), top_k))
    missing = []
    for number in np.unique(video).tolist():
        found = scores.find(detections.video_ids[number])
        if found is None:
            missing.append(detections.video_ids[number])
            continue
        best[number] = np.argsort(-found, kind="stable")[:top_k]
        weight[number] = found[best[number]]
    if missing:
        raise PredictionError(f"no scores for {len(missing)} videos with detections: {first_few(missing)}")
    return Detections(
        video_ids=detections.video_ids,
        video=np.repeat(video, top_k),
        start_s=np.repeat(detections.start_s[rows], top_k),
        end_s=np.repeat(detections.end_s[rows], top_k),
        score=np.sqrt(detections.score[rows][:, None] * weight[video]).ravel(),
        label=best[video].ravel(),
        class_names=scores.class_names,
    )
