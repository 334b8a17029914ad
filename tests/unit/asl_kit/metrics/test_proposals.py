"""Average recall by hand, from the rules of ActivityNet's ``eval_proposal.py``."""

from __future__ import annotations

import numpy as np
import pytest

from asl_kit.metrics import ScoredSegments, Segments, proposal_recall

Row = tuple[int, float, float]
SEGMENT, MISS = (0, 0.0, 10.0), (0, 50.0, 60.0)


def _segments(rows: list[Row], label: int = 0) -> Segments:
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Segments(table[:, 0].astype(int), table[:, 1], table[:, 2], np.full(len(table), label))


def _recall(truth: list[Row], proposals: list[Row], tiou: list[float], max_per_video: int) -> list[list[float]]:
    """Proposals are given by falling score, and have another class than the truth."""
    rows = _segments(proposals, label=1)
    score = np.arange(len(rows), 0.0, -1)
    scored = ScoredSegments(rows.video, rows.start_s, rows.end_s, rows.label, score)
    recall = proposal_recall(_segments(truth), scored, tiou_thresholds=tiou, max_per_video=max_per_video)
    rounded: list[list[float]] = recall.round(12).tolist()
    return rounded


@pytest.mark.parametrize(
    ("truth", "proposals", "expected"),
    [
        pytest.param([SEGMENT], [SEGMENT], [1.0], id="one that is right"),
        pytest.param([SEGMENT], [MISS, SEGMENT], [0.0, 1.0], id="the second is right"),
        pytest.param([SEGMENT], [], [0.0, 0.0], id="none"),
        pytest.param([SEGMENT, (0, 1.0, 10.0)], [SEGMENT, MISS], [1.0, 1.0], id="one finds several"),
        # An average of two for the one video with ground truth is half of all four: it keeps half of its own two.
        pytest.param([SEGMENT], [SEGMENT, MISS, (1, 0, 1), (1, 0, 2)], [1.0, 1.0], id="others without ground truth"),
        pytest.param([SEGMENT], [MISS, SEGMENT, (1, 0, 1), (1, 0, 2)], [0.0, 0.0], id="so the second is not kept"),
        # An average of one is half of all four: of the first video's three one counts, of the second's one none.
        pytest.param(
            [SEGMENT, (1, 0.0, 10.0)], [MISS, MISS, SEGMENT, (1, 0.0, 10.0)], [0.0, 1.0], id="more where there are more"
        ),
    ],
)
def test_by_hand(truth: list[Row], proposals: list[Row], expected: list[float]) -> None:
    assert _recall(truth, proposals, [0.5], len(expected)) == [expected]


def test_thresholds_are_apart_and_equal_to_one_is_enough() -> None:
    assert _recall([SEGMENT], [(0, 0.0, 5.0)], [0.6, 0.5], 1) == [[0.0], [1.0]]


def test_without_ground_truth_there_is_no_number() -> None:
    assert np.isnan(_recall([], [SEGMENT], [0.5], 3)).tolist() == [[True] * 3]


def test_no_proposals_asked_for() -> None:
    with pytest.raises(ValueError, match="max_per_video must be 1 or more, got 0"):
        _recall([SEGMENT], [SEGMENT], [0.5], 0)
