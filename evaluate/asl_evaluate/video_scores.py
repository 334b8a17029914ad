"""Scores of whole videos from another model, which give detections their classes.

Most ActivityNet videos contain one class. Models detect segments without a class there, and a video classifier
names it: every detection gets the classes with the highest scores in its video.
`asl_evaluate.video_score_files` reads the files that such classifiers left.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_kit.base.similar_names import close_matches
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import PredictionError, UsageError, first_few

PER_VIDEO = 200
"""Detections of each video that are used, those of highest score; as in ActionFormer."""
DEFAULT_TOP_K = 2
NAME_PREFIX = "v_"


@dataclass(frozen=True, eq=False)
class VideoScores:
    """Scores of videos by class."""

    class_names: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    """(C,) by video id; 0 or more."""
    source: str
    """Names them in messages: the file."""
    names_all: bool = True
    """Whether `class_names` are all classes of the classifier, not only those with a score in some video."""

    def find(self, video_id: str) -> NDArray[np.float64] | None:
        """Return the scores of a video, (C,), named with or without ``v_``; None if there are none."""
        for name in (video_id, video_id.removeprefix(NAME_PREFIX), NAME_PREFIX + video_id):
            if name in self.scores:
                return self.scores[name]
        return None

    def require_classes(self, classes: Collection[str], vocabulary: str) -> None:
        """Refuse scores of other classes than those of a vocabulary; their order does not matter.

        Raises
        ------
        PredictionError
            Names the classes.
        """
        of_vocabulary = f"the {len(classes)} of vocabulary '{vocabulary}'"
        if unknown := [name for name in self.class_names if name not in classes]:
            close = close_matches(unknown[0], classes)
            raise PredictionError(
                f"{self.source}: {len(unknown)} of its {len(self.class_names)} classes are not among {of_vocabulary}:"
                f" {first_few(unknown)}",
                hint=f"did you mean '{close[0]}'?" if close else "the scores must be of the dataset's classes, by name",
            )
        if self.names_all and (missing := [name for name in classes if name not in self.class_names]):
            raise PredictionError(
                f"{self.source}: has {len(self.class_names)} classes, and lacks {len(missing)} of {of_vocabulary}:"
                f" {first_few(missing)}",
                hint="the scores must be of all classes of the dataset, by name",
            )

    def require_videos(self, video_ids: Iterable[str]) -> None:
        """Refuse scores that lack a video.

        Raises
        ------
        PredictionError
            Names the videos.
        """
        if missing := [video_id for video_id in video_ids if self.find(video_id) is None]:
            raise PredictionError(
                f"{self.source}: no scores for {len(missing)} videos: {first_few(missing)}",
                hint=f"it has scores for {len(self.scores)} videos, such as {next(iter(self.scores), '')}",
            )


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
    used = np.unique(video).tolist()
    scores.require_videos(detections.video_ids[number] for number in used)
    for number in used:
        found = scores.find(detections.video_ids[number])
        assert found is not None
        best[number] = np.argsort(-found, kind="stable")[:top_k]
        weight[number] = found[best[number]]
    return Detections(
        video_ids=detections.video_ids,
        video=np.repeat(video, top_k),
        start_s=np.repeat(detections.start_s[rows], top_k),
        end_s=np.repeat(detections.end_s[rows], top_k),
        score=np.sqrt(detections.score[rows][:, None] * weight[video]).ravel(),
        label=best[video].ravel(),
        class_names=scores.class_names,
    )


def fuse_tables(tables: DetectionTables, scores: VideoScores, top_k: int = DEFAULT_TOP_K) -> DetectionTables:
    """Return the only table of a model with the classes of its videos: see `fuse`."""
    ((vocabulary, detections),) = tables.by_vocabulary.items()
    return DetectionTables({vocabulary: fuse(detections, scores, top_k)})


def only_vocabulary(vocabularies: Mapping[str, object], wanted: str | None = None) -> str:
    """Return the vocabulary whose classes scores of videos name: the wanted one, or the only one.

    Raises
    ------
    UsageError
        If there are several and none is wanted.
    """
    if wanted is None and len(vocabularies) > 1:
        raise UsageError(
            f"scores of videos name the classes of one vocabulary; the model has several: {', '.join(vocabularies)}"
        )
    return wanted if wanted is not None else next(iter(vocabularies))
