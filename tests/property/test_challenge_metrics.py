"""Recall at multiples against one segment after another, and what holds of the challenges' scores whatever the data."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_evaluate.options import ScoringOptions
from asl_evaluate.scores import Scores
from asl_evaluate.scoring import score
from asl_kit.annotations import AnnotationSet
from asl_kit.detections.table import Detection, Detections
from asl_kit.metrics import ScoredSegments, Segments, class_recall_at_multiples, pooled_recall_at_multiples

VIDEOS, CLASSES = 3, 2
TIOU = (0.25, 0.5, 0.75)
MULTIPLES = (1, 2, 5)
WORDS = ("take", "put")

places = st.tuples(st.integers(0, VIDEOS - 1), st.integers(0, 8), st.integers(1, 5), st.integers(0, CLASSES - 1))
truths = st.lists(places, max_size=10)
detections = st.lists(st.tuples(places, st.sampled_from([0.1, 0.2, 0.3])), max_size=20)
Place = tuple[int, int, int, int]


def _segments(rows: list[Place]) -> Segments:
    table = np.array(rows, np.float64).reshape(-1, 4)
    return Segments(table[:, 0].astype(int), table[:, 1], table[:, 1] + table[:, 2], table[:, 3].astype(int))


def _scored(rows: list[tuple[Place, float]]) -> ScoredSegments:
    segments = _segments([place for place, _ in rows])
    value = np.array([value for _, value in rows], np.float64)
    return ScoredSegments(segments.video, segments.start_s, segments.end_s, segments.label, value)


def _pooled(truth: list[Place], found: list[tuple[Place, float]]) -> NDArray[np.float64]:
    return pooled_recall_at_multiples(_segments(truth), _scored(found), multiples=MULTIPLES, tiou_thresholds=TIOU)


def _by_class(truth: list[Place], found: list[tuple[Place, float]]) -> NDArray[np.float64]:
    return class_recall_at_multiples(
        _segments(truth), _scored(found), num_classes=CLASSES, multiples=MULTIPLES, tiou_thresholds=TIOU
    )


def _tiou(one: Place, other: Place) -> float:
    overlap = min(one[1] + one[2], other[1] + other[2]) - max(one[1], other[1])
    return max(overlap, 0) / (one[2] + other[2] - max(overlap, 0))


def _is_found(
    segment: Place, truth: list[Place], ranked: list[Place], multiple: int, tiou: float, strict: bool
) -> bool:
    group = (segment[0], segment[3])
    alike = sum((row[0], row[3]) == group for row in truth)
    first = [row for row in ranked if (row[0], row[3]) == group][: multiple * alike]
    return any(_tiou(row, segment) > tiou or (not strict and _tiou(row, segment) == tiou) for row in first)


@given(truths, detections)
def test_recalls_are_those_of_one_segment_after_another(truth: list[Place], found: list[tuple[Place, float]]) -> None:
    given_order = [place for place, _ in found]
    by_score = [place for place, _ in sorted(found, key=lambda row: (-row[1], row[0][1], row[0][1] + row[0][2]))]
    pooled, by_class = _pooled(truth, found), _by_class(truth, found)
    for i, tiou in enumerate(TIOU):
        for j, multiple in enumerate(MULTIPLES):
            strict = [_is_found(segment, truth, given_order, multiple, tiou, True) for segment in truth]
            np.testing.assert_allclose(pooled[i, j], np.mean(strict) if truth else np.nan, atol=1e-12)
            for label in range(CLASSES):
                own = [segment for segment in truth if segment[3] == label]
                hits = [_is_found(segment, truth, by_score, multiple, tiou, False) for segment in own]
                np.testing.assert_allclose(by_class[i, j, label], np.mean(hits) if own else np.nan, atol=1e-12)


@given(truths, detections, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_nothing_to_the_class_recall(
    truth: list[Place], found: list[tuple[Place, float]], random: Any
) -> None:
    shuffled, mixed = random.sample(found, len(found)), random.sample(truth, len(truth))
    np.testing.assert_equal(_by_class(mixed, shuffled), _by_class(truth, found))
    # to the other, the order of videos is nothing
    by_video = sorted(found, key=lambda row: row[0][0])
    np.testing.assert_array_almost_equal(_pooled(mixed, by_video), _pooled(truth, found), decimal=12)


@given(truths, detections, places)
def test_a_prediction_more_at_the_end_takes_nothing_away(
    truth: list[Place], found: list[tuple[Place, float]], place: Place
) -> None:
    assume(truth)
    before, after = (found, [*found, (place, 0.01)])
    assert np.all(_pooled(truth, after) >= _pooled(truth, before))
    for recall in (_pooled(truth, before), np.nanmean(_by_class(truth, before), axis=2)):
        assert np.all((recall >= 0) & (recall <= 1))
        assert np.all(np.diff(recall, axis=1) >= 0)  # more with the multiple
        assert np.all(np.diff(recall, axis=0) <= 0)  # less with the threshold


@given(st.lists(places, min_size=1, max_size=10))
def test_perfect_predictions_recall_all(truth: list[Place]) -> None:
    found = [(place, 0.5) for place in truth]
    assert np.all(_pooled(truth, found) == 1)
    assert np.all(np.nanmean(_by_class(truth, found), axis=2) == 1)


actions = st.tuples(places, st.integers(0, CLASSES - 1))


def _score(truth: list[tuple[Place, int]], found: list[tuple[tuple[Place, int], float]]) -> Scores:
    videos: dict[str, Any] = {
        f"v{number}": {"split": "test", "duration": 20.0, "segments": []} for number in range(VIDEOS)
    }
    for (video, start, length, verb), noun in truth:
        labels = {"verb": WORDS[verb], "noun": WORDS[noun]}
        videos[f"v{video}"]["segments"].append({"start": float(start), "end": float(start + length), "labels": labels})
    document = {
        "dataset": "own",
        "source": {"converter": "none", "asl_kit": "0"},
        "vocabularies": {"verb": list(WORDS), "noun": list(WORDS)},
        "videos": videos,
    }
    rows = [
        Detection(f"v{video}", float(start), float(start + length), f"{WORDS[verb]},{WORDS[noun]}", value)
        for ((video, start, length, verb), noun), value in found
    ]
    return score(
        Detections.from_lists(rows),
        AnnotationSet.model_validate(document),
        ScoringOptions("test", TIOU, protocol="epic-kitchens"),
    )


@settings(max_examples=30)
@given(st.lists(actions, min_size=1, max_size=8, unique=True))
def test_perfect_actions_score_one(truth: list[tuple[Place, int]]) -> None:
    found = _score(truth, [(row, 0.5) for row in truth])
    assert set(found.parts) == {"action", "verb", "noun"}
    assert found.parts["action"].mean_average_precision == (1.0,) * len(TIOU)


@settings(max_examples=30)
@given(
    st.lists(actions, min_size=1, max_size=8),
    st.lists(st.tuples(actions, st.sampled_from([0.1, 0.2, 0.3])), max_size=12),
    st.randoms(use_true_random=False),
)
def test_actions_in_any_order_score_the_same(
    truth: list[tuple[Place, int]], found: list[tuple[tuple[Place, int], float]], random: Any
) -> None:
    scores, shuffled = _score(truth, found), _score(truth, random.sample(found, len(found)))
    for task, part in scores.parts.items():
        assert part.mean_average_precision == shuffled.parts[task].mean_average_precision
        assert all(0 <= value <= 1 for value in part.mean_average_precision)
