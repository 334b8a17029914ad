"""Per-frame mAP: whether a class is present at moments of the videos, for MultiTHUMOS and Charades.

The score of a class at a moment is the highest score of its detections there. Moments without a
detection come last in the ranking, in order of video and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import ClassScore, Metric, Scores
from asl_evaluate.task import Prepared, Task, prepare
from asl_kit.annotations import Video
from asl_kit.errors import AnnotationError
from asl_kit.metrics import Segments, frame_average_precision, highest_scores

CHARADES_MOMENTS = 25

Times = NDArray[np.float64]


def score_charades(task: Task) -> Scores:
    """Score 25 equally spaced moments of each video, the first at its start; segments include both ends.

    References
    ----------
    Charades, ``Charades_v1_localize.m``.
    """
    prepared = prepare(task)
    times = [np.arange(CHARADES_MOMENTS) / CHARADES_MOMENTS * video.duration for video in prepared.videos.values()]
    precision, positives = _class_precision(prepared, times, side="closed")
    there = positives > 0
    weighted = float(np.sum(precision[there] * positives[there]) / positives.sum())
    return _scores(task, prepared, precision, float(precision[there].mean()), {"weighted mAP": Metric(weighted)})


def score_multithumos(task: Task) -> Scores:
    """Score every frame of every video; segments exclude both ends, and a class that is in no frame has AP 0.

    References
    ----------
    piergiaj/super-events-cvpr18, ``multithumos_i3d_per_video.py`` and ``apmeter.py``, with as many
    features as frames.
    """
    prepared = prepare(task)
    times = [_frame_times(video_id, video) for video_id, video in prepared.videos.items()]
    precision, _ = _class_precision(prepared, times, side="open")
    return _scores(task, prepared, precision, float(np.nan_to_num(precision).mean()), {})


def _frame_times(video_id: str, video: Video) -> Times:
    count = video.frames
    if count is None and video.fps is not None:
        count = round(video.duration * video.fps)
    if not count:
        raise AnnotationError(
            f"video '{video_id}': neither its number of frames nor its fps is known",
            hint="every frame is scored: convert the annotations with a file that has them, see docs/datasets.md",
        )
    rate = count / video.duration
    return np.arange(count) / rate


@dataclass(frozen=True)
class _Spans:
    """Segments as ranges of moments: [begin, end), with the moments of all videos in one sequence."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    @classmethod
    def place(cls, segments: Segments, times: Sequence[Times], side: Literal["closed", "open"]) -> _Spans:
        begin, end = np.zeros(len(segments), np.int64), np.zeros(len(segments), np.int64)
        order = np.argsort(segments.video, kind="stable")
        bounds = np.searchsorted(segments.video[order], np.arange(len(times) + 1))
        offset = 0
        sides: tuple[Literal["left", "right"], Literal["left", "right"]]
        sides = ("left", "right") if side == "closed" else ("right", "left")
        for number, moments in enumerate(times):
            rows = order[bounds[number] : bounds[number + 1]]
            begin[rows] = offset + np.searchsorted(moments, segments.start_s[rows], sides[0])
            end[rows] = offset + np.searchsorted(moments, segments.end_s[rows], sides[1])
            offset += len(moments)
        return cls(begin, np.maximum(end, begin))


def _class_precision(
    prepared: Prepared, times: Sequence[Times], *, side: Literal["closed", "open"]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the AP of each class, NaN without a positive moment, and its number of positive moments."""
    length = sum(map(len, times))
    truth = _Spans.place(prepared.truth, times, side)
    predicted = _Spans.place(prepared.predicted, times, side)
    precision = np.full(len(prepared.classes), np.nan)
    positives = np.zeros(len(prepared.classes), np.int64)
    for label in np.unique(prepared.truth.label):
        targets = np.zeros(length, bool)
        mine = prepared.truth.label == label
        for begin, end in zip(truth.begin[mine].tolist(), truth.end[mine].tolist(), strict=True):
            targets[begin:end] = True
        mine = prepared.predicted.label == label
        scores = highest_scores(predicted.begin[mine], predicted.end[mine], prepared.predicted.score[mine], length)
        precision[label] = frame_average_precision(scores, targets)
        positives[label] = np.count_nonzero(targets)
    if not positives.any():
        raise AnnotationError("no ground-truth segment contains any of the scored moments")
    return precision, positives


def _scores(
    task: Task,
    prepared: Prepared,
    precision: NDArray[np.float64],
    mean: float,
    metrics: dict[str, Metric],
) -> Scores:
    num_truth, num_predicted = prepared.count_truth(), prepared.count_predicted()
    return Scores(
        split=task.split,
        vocabulary=prepared.vocabulary,
        tiou_thresholds=(),
        mean_average_precision=(mean,),
        per_class={
            name: ClassScore((float(precision[label]),), num_truth[label], num_predicted[label])
            for label, name in enumerate(prepared.classes)
            if not np.isnan(precision[label])
        },
        coverage=prepared.coverage,
        metrics=metrics,
    )


MULTITHUMOS = Protocol(
    "multithumos", "mAP over every frame, as in MultiTHUMOS papers", score_multithumos, by_frame=True
)
CHARADES = Protocol(
    "charades", "mAP over 25 moments a video, as Charades' official script", score_charades, by_frame=True
)
