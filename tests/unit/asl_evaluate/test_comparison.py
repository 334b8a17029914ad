from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.support import make_annotation_set

from asl_evaluate.comparison import Comparison, compare, find_difference
from asl_evaluate.options import ScoringOptions
from asl_evaluate.scoring import score
from asl_evaluate.task import Task
from asl_kit.detections.table import Detections

NUM_VIDEOS = 30
TIOU = (0.3, 0.5, 0.7)


def make_task(seed: int, *, shift_s: float, scale: float = 1.0) -> Task:
    """Return predictions some seconds, drawn by the seed, beside the segments, which are the same in all tasks."""
    rng = np.random.default_rng(seed)
    videos: dict[str, Any] = {}
    rows = []
    for number in range(NUM_VIDEOS):
        name, labels = f"v{number:02d}", ["jump", "run"]
        segments = [(20.0 * place, 20.0 * place + 10, labels[(number + place) % 2]) for place in range(4)]
        videos[name] = ("test", segments)
        for start_s, end_s, label in segments:
            beside_s = float(abs(rng.normal(0, shift_s)))
            rows.append((name, start_s + beside_s, end_s + beside_s, label, scale * float(rng.uniform())))
            rows.append((name, 85.0, 95.0, label, scale * float(rng.uniform())))
    annotations = make_annotation_set(videos, ["jump", "run", "swim"])
    return Task(Detections.from_lists(rows), annotations, "test", TIOU)


def run(first: Task, second: Task, **options: int) -> Comparison:
    return compare(first, second, **({"resamples": 500} | options))


def test_a_clear_difference_is_told_from_luck() -> None:
    found = run(make_task(1, shift_s=4.0), make_task(2, shift_s=1.0))
    for row in (found.average, *found.per_tiou):
        assert row.p_value == pytest.approx(2 / 501)
        assert row.difference.low > 0
        assert row.difference.estimate == pytest.approx(row.second.estimate - row.first.estimate)


def test_no_difference_is_not_claimed() -> None:
    p_values = [
        run(make_task(seed, shift_s=2.0), make_task(seed + 50, shift_s=2.0)).average.p_value for seed in range(12)
    ]
    assert sum(p_value < 0.05 for p_value in p_values) <= 2
    assert max(p_values) > 0.5


def test_the_other_way_round() -> None:
    first, second = make_task(1, shift_s=2.0), make_task(2, shift_s=1.5)
    there, back = run(first, second).average, run(second, first).average
    assert there.p_value == back.p_value
    assert (there.difference.low, there.difference.high) == pytest.approx((-back.difference.high, -back.difference.low))


def test_with_itself() -> None:
    task = make_task(1, shift_s=2.0)
    found = run(task, task)
    for row in (found.average, *found.per_tiou):
        assert (row.p_value, row.difference.low, row.difference.estimate, row.difference.high) == (1, 0, 0, 0)
    assert all(row.difference == 0 for row in found.per_class.values())


def test_the_scale_of_scores_does_not_matter() -> None:
    """A permutation test would fail here: it ranks both in one list."""
    first, second = make_task(1, shift_s=2.0), make_task(2, shift_s=1.0)
    assert run(first, second) == run(first, make_task(2, shift_s=1.0, scale=100.0))


def test_scores_are_those_of_eval() -> None:
    first, second = make_task(1, shift_s=2.0), make_task(2, shift_s=1.0)
    found = run(first, second)
    for task, rows, name in (
        (first, [row.first for row in found.per_tiou], "first"),
        (second, [row.second for row in found.per_tiou], "second"),
    ):
        expected = score(task.detections, task.annotations, ScoringOptions(split="test", tiou=TIOU))
        assert [row.estimate for row in rows] == pytest.approx(list(expected.mean_average_precision), abs=1e-12)
        assert list(found.per_class) == ["jump", "run"]
        for label, part in found.per_class.items():
            assert getattr(part, name) == pytest.approx(expected.per_class[label].mean, abs=1e-12)
            assert part.segments == 60


def test_the_seed_decides_what_is_drawn() -> None:
    first, second = make_task(1, shift_s=2.0), make_task(2, shift_s=1.8)
    assert run(first, second) == run(first, second)
    assert run(first, second).average.difference != run(first, second, seed=1).average.difference


@pytest.mark.parametrize(("num_videos", "p_value"), [(1, 1.0), (2, 0.5), (5, 0.0625), (100, 2 / 201)])
def test_few_videos_prove_little(num_videos: int, p_value: float) -> None:
    always_better = find_difference(np.full(201, 0.5), np.full(201, 0.6), num_videos=num_videos)
    assert always_better.p_value == pytest.approx(p_value)


def test_one_video() -> None:
    annotations = make_annotation_set({"v": ("test", [(0.0, 10.0, "jump")])}, ["jump"])
    empty = Task(Detections.from_lists([]), annotations, "test", (0.5,))
    found = run(empty, replace(empty, detections=Detections.from_lists([("v", 0.0, 10.0, "jump", 1.0)])))
    assert (found.average.difference.estimate, found.average.p_value) == (1.0, 1.0)


def test_json() -> None:
    document = json.loads(
        json.dumps(run(make_task(1, shift_s=2.0), make_task(2, shift_s=1.0)).to_json(), allow_nan=False)
    )
    assert document["tiou"] == list(TIOU)
    assert set(document["average_mAP"]) == {"a", "b", "difference", "p_value"}
    assert set(document["mAP"][0]["difference"]) == {"estimate", "low", "high", "standard_error"}
    assert set(document["per_class"]["jump"]) == {"a", "b", "difference", "segments"}
    assert document["coverage"]["a"]["classes_without_ground_truth"] == ["swim"]
