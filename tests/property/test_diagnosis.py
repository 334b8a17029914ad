from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from helpers.support import make_annotation_set
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_evaluate.bootstrap import Interval
from asl_evaluate.comparison import compare
from asl_evaluate.diagnosis import diagnose
from asl_evaluate.task import Task
from asl_kit.detections.table import Detections

few = settings(max_examples=settings().max_examples // 2)  # each example draws its resamples

CLASSES = ["a", "b", "c"]
IDS = ["v0", "v1", "v2"]

# Whole numbers on a short line, so that equal segments, equal scores and tIoU at a threshold are common.
times = st.tuples(st.integers(0, 10), st.integers(1, 5)).map(lambda pair: (float(pair[0]), float(sum(pair))))
truths = st.lists(st.tuples(st.sampled_from(IDS), times, st.sampled_from(CLASSES)), min_size=1, max_size=10)
scores = st.sampled_from([0.1, 0.2, 0.3, 0.4])
predictions = st.lists(st.tuples(st.sampled_from(IDS), times, st.sampled_from(CLASSES), scores), max_size=25)
datasets = st.sampled_from(["own", "thumos14", "activitynet13"])


def _task(truth: list[Any], found: list[Any], dataset: str = "own") -> Task:
    videos: dict[str, Any] = {video: ("test", []) for video in IDS}
    for video, (start_s, end_s), label in truth:
        videos[video][1].append((start_s, end_s, label))
    rows = [(video, start_s, end_s, label, score) for video, (start_s, end_s), label, score in found]
    annotations = make_annotation_set(videos, CLASSES, dataset=dataset)
    return Task(Detections.from_lists(rows, video_ids=IDS, class_names=CLASSES), annotations, "test", (0.25, 0.5))


tasks = st.builds(_task, truths, predictions, datasets)


def _check(row: Interval, low: float) -> None:
    assert low <= row.low <= row.estimate <= row.high <= 1
    assert row.standard_error >= 0


@few
@given(tasks)
def test_shares_add_to_one(task: Task) -> None:
    found = diagnose(task, resamples=100)
    for bar in found.profile:
        assert sum(bar.shares.values()) == pytest.approx(1 if bar.predictions else 0)
        assert all(0 <= share <= 1 for share in bar.shares.values())
    assert sum(bar.predictions for bar in found.profile) == found.predictions_in_profile <= found.predictions
    for characteristic in found.characteristics:
        assert sum(part.segments for part in characteristic.bins) == found.segments
        missed = sum(part.segments * part.missed for part in characteristic.bins if part.missed is not None)
        assert missed == pytest.approx(found.segments * sum(found.missed) / len(found.missed))


@few
@given(tasks)
def test_mending_an_error_costs_nothing(task: Task) -> None:
    found = diagnose(task, resamples=100)
    for impact in found.impacts:
        assert found.average_map_in_profile - 1e-12 <= impact.average_map <= 1 + 1e-12
        assert found.average_normalized_map_in_profile - 1e-12 <= impact.average_normalized_map <= 1 + 1e-12
    assert found.average_map_in_profile <= found.confidence.average.estimate + 1e-12


@few
@given(tasks)
def test_intervals_hold_the_estimate(task: Task) -> None:
    confidence = diagnose(task, resamples=100).confidence
    for row in (*confidence.per_tiou, confidence.average):
        _check(row, 0)


@few
@given(truths, predictions, predictions)
def test_a_comparison_and_its_opposite(truth: list[Any], first: list[Any], second: list[Any]) -> None:
    tasks = _task(truth, first), _task(truth, second)
    there, back = compare(*tasks, resamples=100), compare(*tasks[::-1], resamples=100)
    for row, other in zip((*there.per_tiou, there.average), (*back.per_tiou, back.average), strict=True):
        for side in (row.first, row.second):
            _check(side, 0)
        _check(row.difference, -1)
        assert 0 < row.p_value <= 1
        assert row.p_value == other.p_value
        assert row.difference.estimate == -other.difference.estimate


@few
@given(truths, predictions, st.integers(0, 2**32))
def test_predictions_against_themselves_in_another_order(truth: list[Any], found: list[Any], seed: int) -> None:
    shuffled = random.Random(seed).sample(found, len(found))
    comparison = compare(_task(truth, found), _task(truth, shuffled), resamples=100)
    for row in (*comparison.per_tiou, comparison.average):
        assert row.p_value == 1
        assert row.difference == Interval(0.0, 0.0, 0.0, 0.0)


@few
@given(truths, predictions, datasets, st.integers(0, 2**32))
def test_order_does_not_matter(truth: list[Any], found: list[Any], dataset: str, seed: int) -> None:
    chance = random.Random(seed)
    task = _task(truth, found, dataset)
    other = _task(chance.sample(truth, len(truth)), chance.sample(found, len(found)), dataset)
    videos = dict(chance.sample(list(other.annotations.videos.items()), len(IDS)))
    other = replace(other, annotations=other.annotations.model_copy(update={"videos": videos}))
    assert diagnose(task, resamples=100) == diagnose(other, resamples=100)
