"""EPIC-KITCHENS-100 action detection: one list of segments, scored for verb, noun and action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asl_evaluate.epic_actions import VOCABULARIES, action_label, split_labels
from asl_evaluate.protocols.activitynet import mean_over_classes
from asl_evaluate.protocols.protocol import Protocol
from asl_evaluate.scores import Scores
from asl_evaluate.task import Task, prepare
from asl_kit.annotations import AnnotationSet, Segment, Video
from asl_kit.errors import AnnotationError
from asl_kit.metrics import average_precision

ACTION = "action"
_LINSPACE = {round(value, 9): value for value in np.linspace(0.1, 0.5, 5).tolist()}


def as_linspace(tiou_thresholds: Sequence[float]) -> tuple[float, ...]:
    """Return the thresholds with 0.3 as in numpy's ``linspace(0.1, 0.5, 5)``, 0.30000000000000004.

    The evaluators of the challenge and of ActionFormer use it, so a tIoU of exactly 0.3 is no match.
    """
    return tuple(_LINSPACE.get(round(threshold, 9), threshold) for threshold in tiou_thresholds)


def score(task: Task) -> Scores:
    """Score verb, noun and action like the challenge, which ranks by the average mAP of actions.

    AP is interpolated as in ActivityNet's protocol. Each detection has a verb and a noun
    (`asl_evaluate.epic_actions`) and counts in all three tasks; an action is correct if both are. The mean is
    over the classes, or pairs, with ground truth; predictions of others are ignored.

    With ``verb`` or ``noun`` as the task's vocabulary, labels are of that vocabulary, and only it is scored.

    References
    ----------
    epic-kitchens/C2-Action-Detection, ``EvaluationCode/evaluate_detection_json_ek100.py``, as of 2024-02-01.
    """
    if task.vocabulary in VOCABULARIES:
        return _score(task)
    missing = [name for name in VOCABULARIES if name not in task.annotations.vocabularies]
    if missing:
        known = ", ".join(task.annotations.vocabularies)
        raise AnnotationError(
            f"dataset {task.annotations.dataset}: protocol 'epic-kitchens' needs the vocabulary '{missing[0]}'; "
            f"there are: {known}",
            hint="score one vocabulary with --vocabulary",
        )
    pairs = split_labels(task.detections.class_names)
    parts = {}
    for name, column in zip(VOCABULARIES, zip(*pairs, strict=True) if pairs else ((), ()), strict=True):
        parts[name] = _score(
            replace(task, detections=task.detections.relabelled(column, sorted(set(column))), vocabulary=name)
        )
    annotations, known_pairs = _with_action_vocabulary(task.annotations, task.split)
    actions = task.detections.relabelled([action_label(*pair) for pair in pairs], known_pairs)
    parts[ACTION] = _score(replace(task, detections=actions, annotations=annotations, vocabulary=ACTION))
    return replace(parts[ACTION], parts={name: parts[name] for name in (ACTION, *VOCABULARIES)})


def _score(task: Task) -> Scores:
    prepared = prepare(task)
    precision = average_precision(
        prepared.truth,
        prepared.predicted,
        num_classes=len(prepared.classes),
        tiou_thresholds=as_linspace(task.tiou_thresholds),
    )
    return mean_over_classes(task, prepared, precision)


def _with_action_vocabulary(annotations: AnnotationSet, split: str) -> tuple[AnnotationSet, list[str]]:
    """Return the split with a vocabulary of actions, and its classes: the pairs that occur, by ids."""
    verbs, nouns = ({name: n for n, name in enumerate(annotations.classes(own))} for own in VOCABULARIES)
    videos = {video_id: _with_actions(video) for video_id, video in annotations.split(split).items()}
    pairs = {
        (segment.labels["verb"], segment.labels["noun"])
        for video in videos.values()
        for segment in video.segments or ()
        if ACTION in segment.labels
    }
    names = [action_label(*pair) for pair in sorted(pairs, key=lambda pair: (verbs[pair[0]], nouns[pair[1]]))]
    vocabularies = {**annotations.vocabularies, ACTION: names}
    return annotations.model_copy(update={"videos": videos, "vocabularies": vocabularies}), names


def _with_actions(video: Video) -> Video:
    segments = None if video.segments is None else [_with_action(segment) for segment in video.segments]
    return video.model_copy(update={"segments": segments})


def _with_action(segment: Segment) -> Segment:
    if not all(name in segment.labels for name in VOCABULARIES):
        return segment
    action = action_label(*(segment.labels[name] for name in VOCABULARIES))
    return segment.model_copy(update={"labels": {**segment.labels, ACTION: action}})


PROTOCOL = Protocol(
    "epic-kitchens",
    "mAP of verb, noun and action, as the EPIC-KITCHENS-100 challenge",
    score,
    tiou="0.1:0.5:0.1",
    joint=True,
)
