from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_kit.metrics import ScoredSegments, Segments, average_precision, match_detections, recall_at_top, temporal_iou

VIDEOS, CLASSES = 3, 2
TIOU = (0.25, 0.5, 0.75)

# Whole numbers on a short line, so that equal segments, equal tIoU and tIoU at a threshold are common.
videos = st.integers(0, VIDEOS - 1)
labels = st.integers(0, CLASSES - 1)
intervals = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
scores = st.sampled_from([0.1, 0.2, 0.3, 0.4])
times_s = st.floats(0, 1e5, allow_subnormal=False)


def _segments(rows: list[tuple[int, list[int], int]]) -> Segments:
    video, interval, label = zip(*rows, strict=True) if rows else ((), (), ())
    times = np.array(interval, np.float64).reshape(-1, 2)
    return Segments(np.array(video, int), times[:, 0], times[:, 1], np.array(label, int))


def _scored(segments: Segments, score: list[float]) -> ScoredSegments:
    return ScoredSegments(segments.video, segments.start_s, segments.end_s, segments.label, np.array(score, np.float64))


truths = st.lists(st.tuples(videos, intervals, labels), max_size=12).map(_segments)
detections = st.lists(st.tuples(videos, intervals, labels, scores), max_size=25).map(
    lambda rows: _scored(_segments([row[:3] for row in rows]), [row[3] for row in rows])
)


def _ap(truth: Segments, found: ScoredSegments) -> NDArray[np.float64]:
    return average_precision(truth, found, num_classes=CLASSES, tiou_thresholds=TIOU)


def _recall(truth: Segments, found: ScoredSegments, per_video: int) -> NDArray[np.float64]:
    return recall_at_top(truth, found, per_video=per_video, tiou_thresholds=TIOU)


@given(times_s, times_s, times_s, times_s)
def test_temporal_iou_is_symmetric_and_bounded(a: float, b: float, c: float, d: float) -> None:
    first, second = sorted((a, b)), sorted((c, d))
    tiou = float(temporal_iou(*first, *second))
    assert tiou == float(temporal_iou(*second, *first))
    assert 0 <= tiou <= 1
    assert (tiou == 1) >= (first == second and first[0] < first[1])
    assert (tiou == 0) >= (first[1] <= second[0] or second[1] <= first[0])


@given(truths, detections)
def test_matching_is_that_of_one_prediction_after_another(truth: Segments, found: ScoredSegments) -> None:
    matching = match_detections(truth, found, num_classes=CLASSES, tiou_thresholds=TIOU)
    for number, threshold in enumerate(TIOU):
        free = set(range(len(truth)))
        served = []
        for position, row in enumerate(matching.order):
            best = None
            for place in free:
                if truth.video[place] != found.video[row] or truth.label[place] != found.label[row]:
                    continue
                times = (truth.start_s[place], truth.end_s[place])
                tiou = float(temporal_iou(found.start_s[row], found.end_s[row], *times))
                if tiou >= threshold and (best is None or (tiou, *times) > best[0]):
                    best = ((tiou, *times), place)
            if best:
                free.remove(best[1])
                served.append((position, best[0][1:]))
        taken = matching.truth[number]
        times = zip(truth.start_s[taken].tolist(), truth.end_s[taken].tolist(), strict=True)
        assert list(zip(matching.position[number].tolist(), times, strict=True)) == served
        assert len(set(taken.tolist())) == len(taken)


@given(truths, detections)
def test_bounds_and_the_classes_that_count(truth: Segments, found: ScoredSegments) -> None:
    ap = _ap(truth, found)
    there = np.isin(np.arange(CLASSES), truth.label)
    assert np.isnan(ap[:, ~there]).all()
    assert ((ap[:, there] >= 0) & (ap[:, there] <= 1)).all()
    recall = _recall(truth, found, 5)
    assert np.isnan(recall).all() if not len(truth) else ((recall >= 0) & (recall <= 1)).all()


@given(truths, detections, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter_even_for_equal_scores(
    truth: Segments, found: ScoredSegments, random: object
) -> None:
    rows = [np.array(random.sample(range(len(part)), len(part)), int) for part in (truth, found)]  # type: ignore[attr-defined]
    shuffled = truth.take(rows[0]), found.take(rows[1])
    np.testing.assert_array_equal(_ap(truth, found), _ap(*shuffled))
    np.testing.assert_array_equal(_recall(truth, found, 2), _recall(*shuffled, 2))


@given(truths, st.data())
def test_perfect_predictions_are_perfect(truth: Segments, data: st.DataObject) -> None:
    truth = truth.take(truth.end_s > truth.start_s)
    score = data.draw(st.lists(st.floats(-1, 1), min_size=len(truth), max_size=len(truth)))
    found = _scored(truth, score)
    assert np.allclose(_ap(truth, found)[:, np.unique(truth.label)], 1, rtol=0, atol=1e-12)
    if len(truth):
        assert (_recall(truth, found, len(truth)) == 1).all()


@given(truths, detections, videos, intervals, labels)
def test_a_prediction_below_all_others_costs_nothing(
    truth: Segments, found: ScoredSegments, video: int, interval: list[int], label: int
) -> None:
    segments = _segments([(video, interval, label)])
    more = ScoredSegments(
        *(np.append(getattr(found, name), getattr(segments, name)) for name in ("video", "start_s", "end_s", "label")),
        np.append(found.score, -1.0),
    )
    before, after = _ap(truth, found), _ap(truth, more)
    there = ~np.isnan(before)
    assert (after[there] >= before[there] - 1e-12).all()
    untouched = np.arange(CLASSES) != label
    np.testing.assert_array_equal(before[:, untouched], after[:, untouched])
    if len(truth):
        room = int(np.bincount(found.video, minlength=VIDEOS).max())  # all that were there before
        assert (_recall(truth, more, max(room, 1)) >= _recall(truth, found, max(room, 1))).all()


@given(truths, detections)
def test_a_higher_threshold_finds_no_more(truth: Segments, found: ScoredSegments) -> None:
    matching = match_detections(truth, found, num_classes=CLASSES, tiou_thresholds=TIOU)
    counts = [len(position) for position in matching.position]
    assert counts == sorted(counts, reverse=True)
