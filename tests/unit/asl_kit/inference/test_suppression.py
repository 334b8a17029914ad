"""Soft-NMS and voting, against a plain loop written from the paper's definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_kit.inference.suppression import suppress
from asl_kit.model.decoding import Candidates

Row = tuple[float, float, float, int]


def candidates(*lists: list[Row]) -> Candidates:
    """Return lists of (start, end, score, class) as rows, filled up with candidates of score 0."""
    longest = max(map(len, lists))
    filled = [[*rows, *[(5.0, 15.0, 0.0, 0)] * (longest - len(rows))] for rows in lists]
    table = torch.tensor([[row[:3] for row in rows] for rows in filled], dtype=torch.float64).reshape(
        len(lists), longest, 3
    )
    labels = torch.tensor([[row[3] for row in rows] for rows in filled], dtype=torch.int64).reshape(len(lists), longest)
    return Candidates(table[..., :2], table[..., 2], labels)


def tiou(a: Row, b: Row, epsilon: float = 1e-6) -> float:
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / (a[1] - a[0] + b[1] - b[0] + 2 * epsilon - overlap)


def plain_loop(rows: list[Row], sigma: float, min_score: float, count: int, voting: float) -> list[Row]:
    kept: list[Row] = []
    for label in sorted({row[3] for row in rows}):
        of_class = [row for row in rows if row[3] == label]
        left = of_class
        while left:
            number = max(range(len(left)), key=lambda place: left[place][2])
            best = left[number]
            if best[2] < min_score and len(left) < len(of_class):
                break
            weights = [row[2] * tiou(best, row, 0) * (tiou(best, row, 0) >= voting) for row in of_class]
            ends = [
                sum(w * row[side] for w, row in zip(weights, of_class, strict=True)) / sum(weights) for side in (0, 1)
            ]
            kept.append((*ends, *best[2:]) if voting else best)
            others = left[:number] + left[number + 1 :]
            left = [(s, e, p * math.exp(-(tiou(best, (s, e, p, c)) ** 2) / sigma), c) for s, e, p, c in others]
    return sorted(kept, key=lambda row: -row[2])[:count]


def assert_same(found: Candidates, expected: list[Row]) -> None:
    table = np.array([row[:3] for row in expected]).reshape(-1, 3)
    np.testing.assert_allclose(found.scores.numpy(), table[:, 2], rtol=1e-9, atol=1e-12)
    if len(np.unique(table[:, 2].round(12))) == len(table):
        np.testing.assert_allclose(found.segments.numpy(), table[:, :2], rtol=1e-9, atol=1e-9)
        assert found.labels.tolist() == [row[3] for row in expected]


rows = st.lists(
    st.tuples(
        st.floats(0, 50).map(lambda x: round(x, 2)),
        st.floats(0.1, 30).map(lambda x: round(x, 2)),
        st.integers(2, 999),
        st.integers(0, 3),
    ),
    max_size=30,
    unique_by=lambda row: row[2],
).map(lambda found: [(start, start + length, score / 1000, label) for start, length, score, label in found])


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, min_size=1, max_size=4), st.sampled_from([1, 5, 20, 200]), st.sampled_from([0.0, 0.31, 0.7]))
def test_equals_the_plain_loop(lists: list[list[Row]], count: int, voting: float) -> None:
    """Several lists at once, as each alone: they may have other lengths and classes, or nothing."""
    found = suppress(candidates(*lists), sigma=0.5, min_score=0.001, max_detections=count, voting_tiou=voting)
    for one, own in zip(found, lists, strict=True):
        assert_same(one, plain_loop(own, 0.5, 0.001, count, voting))


@pytest.mark.parametrize("count", [20, 150, 10_000])
def test_equals_the_plain_loop_where_candidates_are_left_out_on_the_way(count: int) -> None:
    """Classes of very different size, over many rounds: one in a table of its own, many in one."""
    random = np.random.default_rng(0)
    own = []
    for label, size in enumerate([300, 90, 80, 20, 3, 1, 1]):
        start, length, score = random.uniform((0, 0.5, 0.01), (40, 20, 1), (size, 3)).T
        own += [(*row, label) for row in zip(start, start + length, score, strict=True)]
    (found,) = suppress(candidates(own), sigma=0.5, min_score=0.02, max_detections=count, voting_tiou=0.7)
    assert len(found.scores) > 19
    assert_same(found, plain_loop(own, 0.5, 0.02, count, 0.7))


def test_scores_fall_and_classes_do_not_touch_each_other() -> None:
    (kept,) = suppress(
        candidates([(0, 10, 0.9, 0), (0, 10, 0.8, 1), (0, 10, 0.7, 0)]),
        sigma=0.5, min_score=0.001, max_detections=9, voting_tiou=0.0,
    )  # fmt: skip
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8, 0.7 * math.exp(-1 / 0.5)], abs=1e-6)
    assert kept.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("voting", "start"),
    [
        (0.7, (0.9 * 0 + 0.4 * 2) / 1.3),
        (0.0, 0.0),
        (0.9, 0.0),
    ],  # tIoU of the two: 8 / 10; weights 0.9 * 1 and 0.5 * 0.8
)
def test_voting_by_hand(voting: float, start: float) -> None:
    both = candidates([(0, 10, 0.9, 0), (2, 10, 0.5, 0), (0, 10, 0.9, 1)])
    (kept,) = suppress(both, sigma=0.5, min_score=0.001, max_detections=1, voting_tiou=voting)
    assert kept.segments.tolist() == [pytest.approx([start, 10.0])]


def test_suppression_and_voting_across_classes() -> None:
    both = candidates([(0, 10, 0.9, 0), (2, 10, 0.5, 1), (40, 50, 0.3, 1)])
    kept, per_class = (
        suppress(both, sigma=0.5, min_score=0.001, max_detections=9, voting_tiou=0.7, per_class=each)[0]
        for each in (False, True)
    )
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3, 0.5 * math.exp(-0.64 / 0.5)], abs=1e-6)
    assert kept.labels.tolist() == [0, 1, 1]
    assert kept.segments[0].tolist() == pytest.approx([0.8 / 1.3, 10.0])  # weights 0.9 * 1 and 0.5 * 0.8
    assert per_class.segments[0].tolist() == [0.0, 10.0]


def test_the_best_of_a_class_is_kept_however_low_it_scores() -> None:
    low = candidates([(0, 10, 0.09, 0), (30, 40, 0.08, 0), (0, 10, 0.05, 1)], [])
    kept, none = suppress(low, sigma=0.5, min_score=0.1, max_detections=9, voting_tiou=0.7)
    assert kept.scores.tolist() == pytest.approx([0.09, 0.05])
    assert none.segments.shape == (0, 2)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_of_equal_scores_the_lower_class_comes_first_then_the_earlier_candidate(count: int) -> None:
    ties: list[Row] = [
        (0, 10, 0.5, 2),
        (20, 30, 0.5, 1),
        (40, 50, 0.5, 2),
        (60, 70, 0.5, 1),
        (80, 81, 0.6, 2),
        (90, 91, 0.1, 0),
    ]
    (kept,) = suppress(candidates(ties), sigma=0.5, min_score=0.001, max_detections=count, voting_tiou=0.7)
    assert kept.segments[:, 0].tolist() == [80.0, 20.0, 60.0, 0.0, 40.0, 90.0][:count]


def test_no_candidate_is_picked_twice_where_every_score_has_become_0() -> None:
    same = candidates([(0.0, 10.0, 0.5, 0)] * 40)
    (kept,) = suppress(same, sigma=1e-4, min_score=0.0, max_detections=99, voting_tiou=0.7)
    assert kept.scores.tolist() == [0.5] + [0.0] * 39


def test_a_segment_of_no_length_keeps_its_ends() -> None:
    (kept,) = suppress(
        candidates([(3.0, 3.0, 0.5, 0), (3.0, 9.0, 0.4, 0)]),
        sigma=0.5, min_score=0.001, max_detections=1, voting_tiou=0.7,
    )  # fmt: skip
    assert kept.segments.tolist() == [[3.0, 3.0]]
