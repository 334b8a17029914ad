"""Recall at k times the ground truth: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, class_recall_at_multiples, pooled_recall_at_multiples


def truth(*rows: tuple[int, float, float, int]) -> Segments:
    video, start_s, end_s, label = (np.array(column) for column in zip(*rows, strict=True)) if rows else [EMPTY] * 4
    return Segments(video.astype(int), start_s, end_s, label.astype(int))


def found(*rows: tuple[int, float, float, int, float]) -> ScoredSegments:
    columns = (np.array(column) for column in zip(*rows, strict=True)) if rows else [EMPTY] * 5
    video, start_s, end_s, label, score = columns
    return ScoredSegments(video.astype(int), start_s, end_s, label.astype(int), score)


EMPTY = np.empty(0)
SEGMENT = (0, 0.0, 10.0, 0)
HIT, MISS = (0, 0.0, 10.0, 0), (0, 50.0, 60.0, 0)


def pooled(segments: Segments, detections: ScoredSegments, *multiples: int, tiou: float = 0.5) -> list[float]:
    result = pooled_recall_at_multiples(segments, detections, multiples=multiples, tiou_thresholds=[tiou])
    values: list[float] = result[0].tolist()
    return values


def by_class(segments: Segments, detections: ScoredSegments, *multiples: int, tiou: float = 0.5) -> list[list[float]]:
    result = class_recall_at_multiples(segments, detections, num_classes=2, multiples=multiples, tiou_thresholds=[tiou])
    values: list[list[float]] = result[0].tolist()
    return values


def test_the_first_in_the_list_count_for_the_challenge_and_the_highest_for_actionformer() -> None:
    detections = found((*MISS, 0.1), (*HIT, 0.9))
    assert pooled(truth(SEGMENT), detections, 1, 2) == [0, 1]
    assert [row[0] for row in by_class(truth(SEGMENT), detections, 1, 2)] == [1, 1]


@pytest.mark.parametrize(("end_s", "is_found"), [(5.0, (0, 1)), (5.5, (1, 1)), (4.5, (0, 0))])
def test_an_overlap_equal_to_the_threshold(end_s: float, is_found: tuple[int, int]) -> None:
    detections = found((0, 0.0, end_s, 0, 1.0))
    assert (pooled(truth(SEGMENT), detections, 1)[0], by_class(truth(SEGMENT), detections, 1)[0][0]) == is_found


def test_multiples_count_the_segments_of_a_video_and_class() -> None:
    segments = truth(SEGMENT, (0, 20.0, 30.0, 0), (1, 0.0, 10.0, 0), (0, 0.0, 10.0, 1))
    detections = found(
        (*MISS, 0.9),
        (0, 0.0, 10.0, 0, 0.8),  # the second of two that count at 1x
        (0, 20.0, 30.0, 0, 0.7),  # the third: from 2x on
        (1, 70.0, 80.0, 0, 0.9),
        (1, 0.0, 10.0, 0, 0.8),  # of one: from 2x on
        (0, 0.0, 10.0, 1, 0.1),  # other classes do not take its place
    )
    assert pooled(segments, detections, 1, 2) == [2 / 4, 4 / 4]
    assert by_class(segments, detections, 1, 2) == [[1 / 3, 1], [1, 1]]


def test_one_detection_finds_several() -> None:
    segments = truth(SEGMENT, (0, 0.0, 9.0, 0))
    assert pooled(segments, found((*HIT, 1.0)), 1) == [1]
    assert by_class(segments, found((*HIT, 1.0)), 1)[0][0] == 1


def test_the_mean_is_over_segments_or_over_classes() -> None:
    segments = truth(SEGMENT, (1, 0.0, 10.0, 0), (2, 0.0, 10.0, 0), (0, 0.0, 10.0, 1))
    detections = found((0, 0.0, 10.0, 1, 1.0))
    assert pooled(segments, detections, 1) == [1 / 4]
    assert by_class(segments, detections, 1) == [[0, 1]]


@pytest.mark.parametrize(
    ("segments", "detections", "expected"),
    [
        pytest.param([], [(*HIT, 1.0)], np.nan, id="no ground truth"),
        pytest.param([], [], np.nan, id="nothing at all"),
        pytest.param([SEGMENT], [], 0.0, id="no detections"),
        pytest.param([SEGMENT], [(1, 0.0, 10.0, 0, 1.0)], 0.0, id="another video"),
        pytest.param([SEGMENT], [(0, 0.0, 10.0, 1, 1.0)], 0.0, id="another class"),
        pytest.param([(0, 5.0, 5.0, 0)], [(0, 5.0, 5.0, 0, 1.0)], 0.0, id="no length"),
    ],
)
def test_what_there_is_nothing_of(segments: list[Any], detections: list[Any], expected: float) -> None:
    values = pooled(truth(*segments), found(*detections), 1, 5), by_class(truth(*segments), found(*detections), 1, 5)
    np.testing.assert_equal(values[0], [expected] * 2)
    np.testing.assert_equal(np.array(values[1])[:, 0], [expected] * 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"multiples": []}, "multiples must be one or more whole numbers", id="none"),
        pytest.param({"multiples": [0, 5]}, "multiples must be one or more whole numbers from 1, got", id="zero"),
        pytest.param({"multiples": [1.5]}, "multiples must be", id="half"),
        pytest.param({"tiou_thresholds": [0.0]}, "tIoU thresholds must be", id="threshold"),
        pytest.param({"num_classes": 0}, r"a label of truth is outside \[0, 0\)", id="label"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"multiples": [1], "tiou_thresholds": [0.5]} | change
    with pytest.raises(ValueError, match=message):
        class_recall_at_multiples(truth(SEGMENT), found(), **({"num_classes": 1} | arguments))
    if "num_classes" not in change:
        with pytest.raises(ValueError, match=message):
            pooled_recall_at_multiples(truth(SEGMENT), found(), **arguments)


@pytest.mark.parametrize("label", [-1, 1])
def test_a_label_out_of_range_beside_a_good_one(label: int) -> None:
    segments = truth(SEGMENT, (0, 0.0, 10.0, label))
    with pytest.raises(ValueError, match=r"a label of truth is outside \[0, 1\)"):
        class_recall_at_multiples(segments, found(), num_classes=1, multiples=[1], tiou_thresholds=[0.5])
