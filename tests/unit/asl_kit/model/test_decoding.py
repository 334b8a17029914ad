"""Soft-NMS and voting, against a plain loop written from the paper's definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.model.decoding import Candidates, soft_nms, vote

Row = tuple[float, float, float, int]


def candidates(rows: list[Row]) -> Candidates:
    table = torch.tensor([row[:3] for row in rows], dtype=torch.float64).reshape(-1, 3)
    return Candidates(table[:, :2], table[:, 2], torch.tensor([row[3] for row in rows], dtype=torch.int64))


def tiou(a: Row, b: Row) -> float:
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / (a[1] - a[0] + b[1] - b[0] + 2e-6 - overlap)


def plain_soft_nms(rows: list[Row], sigma: float, min_score: float, count: int) -> list[Row]:
    kept: list[Row] = []
    for label in {row[3] for row in rows}:
        left = [row for row in rows if row[3] == label]
        while left:
            best = max(left, key=lambda row: row[2])
            left.remove(best)
            if best[2] < min_score:
                break
            kept.append(best)
            left = [(s, e, p * math.exp(-(tiou(best, (s, e, p, c)) ** 2) / sigma), c) for s, e, p, c in left]
    return sorted(kept, key=lambda row: -row[2])[:count]


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


@given(rows)
def test_soft_nms_equals_the_plain_loop(rows: list[Row]) -> None:
    kept = soft_nms(candidates(rows), sigma=0.5, min_score=0.001, max_detections=20)
    expected = plain_soft_nms(rows, 0.5, 0.001, 20)
    torch.testing.assert_close(
        kept.scores, torch.tensor([row[2] for row in expected], dtype=torch.float64), atol=1e-9, rtol=1e-9
    )
    if len({round(row[2], 12) for row in expected}) == len(expected):
        torch.testing.assert_close(
            kept.segments, torch.tensor([row[:2] for row in expected], dtype=torch.float64).reshape(-1, 2)
        )
        assert kept.labels.tolist() == [row[3] for row in expected]


def test_scores_fall_and_classes_do_not_touch_each_other() -> None:
    kept = soft_nms(
        candidates([(0, 10, 0.9, 0), (0, 10, 0.8, 1), (0, 10, 0.7, 0)]), sigma=0.5, min_score=0.001, max_detections=9
    )
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8, 0.7 * math.exp(-1 / 0.5)], abs=1e-6)
    assert kept.labels.tolist() == [0, 1, 0]


def test_voting_by_hand() -> None:
    # tIoU of the two: 8 / 10. Weights 0.9 * 1 and 0.5 * 0.8.
    both = candidates([(0, 10, 0.9, 0), (2, 10, 0.5, 0), (0, 10, 0.9, 1)])
    kept = Candidates(both.segments[:1], both.scores[:1], both.labels[:1])
    start = (0.9 * 0 + 0.4 * 2) / 1.3
    torch.testing.assert_close(vote(kept, both, tiou=0.7).segments, torch.tensor([[start, 10.0]], dtype=torch.float64))
    assert vote(kept, both, tiou=0.0) is kept
    torch.testing.assert_close(vote(kept, both, tiou=0.9).segments, kept.segments)


def test_suppression_and_voting_across_classes() -> None:
    both = candidates([(0, 10, 0.9, 0), (2, 10, 0.5, 1), (40, 50, 0.3, 1)])
    kept = soft_nms(both, sigma=0.5, min_score=0.001, max_detections=9, per_class=False)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3, 0.5 * math.exp(-0.64 / 0.5)], abs=1e-6)
    assert kept.labels.tolist() == [0, 1, 1]
    voted = vote(kept, both, tiou=0.7, per_class=False)
    assert voted.segments[0].tolist() == pytest.approx([0.8 / 1.3, 10.0])  # weights 0.9 * 1 and 0.5 * 0.8
    assert vote(kept, both, tiou=0.7).segments[0].tolist() == [0.0, 10.0]


def test_the_best_of_a_class_is_kept_however_low_it_scores() -> None:
    low = candidates([(0, 10, 0.09, 0), (30, 40, 0.08, 0), (0, 10, 0.05, 1)])
    kept = soft_nms(low, sigma=0.5, min_score=0.1, max_detections=9)
    assert kept.scores.tolist() == pytest.approx([0.09, 0.05])
    none = soft_nms(candidates([]), sigma=0.5, min_score=0.1, max_detections=9, per_class=False)
    assert none.segments.shape == (0, 2)
