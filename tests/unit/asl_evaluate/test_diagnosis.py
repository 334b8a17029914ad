from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from helpers.support import make_annotation_set

from asl_evaluate.diagnosis import ERROR_TYPES, TRUE_POSITIVE, Diagnosis, diagnose
from asl_evaluate.segment_bins import bin_segments
from asl_evaluate.task import Task, prepare
from asl_kit.detections.table import Detections
from asl_kit.errors import AslKitError

CLASSES = ["jump", "run", "swim"]
VIDEOS = {
    "v1": ("test", [(0.0, 10.0, "jump"), (20.0, 30.0, "run")]),
    "v2": ("test", [(0.0, 10.0, "jump"), (50.0, 60.0, "jump")]),
    "silent": ("test", []),
}
FOUND = ("v1", 0.0, 10.0, "jump", 0.9)


def make_task(
    rows: list[tuple[Any, ...]],
    videos: dict[str, Any] = VIDEOS,
    *,
    tiou: float = 0.5,
    **changes: Any,
) -> Task:
    """Return the task of scoring these predictions; every video is 100 s long."""
    annotations = make_annotation_set(videos, CLASSES, **changes)
    return Task(Detections.from_lists(rows), annotations, "test", (tiou,))


def run(*rows: tuple[Any, ...], **options: Any) -> Diagnosis:
    return diagnose(make_task(list(rows), **options), resamples=100)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param(("v1", 0.0, 10.0, "jump", 0.8), "double detection", id="found-before"),
        pytest.param(("v1", 20.0, 30.0, "jump", 0.8), "wrong label", id="exact-but-other-class"),
        pytest.param(("v1", 5.0, 15.0, "jump", 0.8), "localization", id="tiou-a-third"),
        pytest.param(("v1", 5.0, 15.0, "jump", 0.95), "localization", id="score-does-not-matter"),
        pytest.param(("v1", 25.0, 35.0, "jump", 0.8), "confusion", id="tiou-a-third-other-class"),
        pytest.param(("v1", 0.0, 1.0, "run", 0.8), "confusion", id="tiou-a-tenth-exactly"),
        pytest.param(("v1", 0.0, 0.99, "run", 0.8), "background", id="tiou-below-a-tenth"),
        pytest.param(("v1", 70.0, 80.0, "jump", 0.8), "background", id="nothing-there"),
        pytest.param(("v1", 5.0, 5.0, "jump", 0.8), "background", id="no-length"),
        pytest.param(("v2", 0.0, 10.0, "jump", 0.8), TRUE_POSITIVE, id="found"),
        pytest.param(("v2", 0.0, 5.0, "jump", 0.8), TRUE_POSITIVE, id="tiou-at-the-threshold"),
        pytest.param(("silent", 0.0, 10.0, "jump", 0.8), "background", id="video-without-action"),
    ],
)
def test_kind_of_error(row: tuple[Any, ...], kind: str) -> None:
    bar = run(FOUND, row).profile[0]
    assert bar.predictions == 2
    assert bar.shares == pytest.approx(
        dict.fromkeys((TRUE_POSITIVE, *ERROR_TYPES), 0.0)
        | {TRUE_POSITIVE: 0.5, kind: 0.5 if kind != TRUE_POSITIVE else 1}
    )


def test_every_prediction_in_a_video_without_action_lies_on_background() -> None:
    """DETAD's code holds the second one against the ground truth of the video before."""
    rows = [("silent", 0.0, 10.0, "jump", 0.1 * number) for number in (1, 2, 3)]
    assert run(*rows).profile[0].shares["background"] == 1


@pytest.mark.parametrize("other", ["run", "swim"])
def test_of_segments_that_overlap_alike_the_one_of_the_own_class_tells(
    other: str,
) -> None:
    """As where every CliffDiving is a Diving too."""
    videos = {"v1": ("test", [(0.0, 10.0, other), (0.0, 10.0, "jump")])}
    rows = [("v1", 0.0, 10.0, label, score) for label, score in (("jump", 0.9), (other, 0.8))]
    again = [("v1", 0.0, 10.0, label, score) for label, score in (("jump", 0.7), (other, 0.6))]
    shares = run(*rows, *again, videos=videos).profile[1].shares
    assert shares["double detection"] == 1


def test_bars_are_multiples_of_the_ground_truth_of_each_class() -> None:
    # jump has 3 segments, run 1: bar 1 holds 3 + 1 predictions, bar 10 the last, and one of run is too many
    jumps = [("v1", 70.0, 80.0, "jump", 1 - 0.01 * number) for number in range(7)]
    runs = [("v1", 70.0, 80.0, "run", 1 - 0.01 * number) for number in range(11)]
    found = run(*jumps, *runs)
    assert [bar.multiple for bar in found.profile] == list(range(1, 11))
    assert [bar.predictions for bar in found.profile] == [4, 4, 2, 1, 1, 1, 1, 1, 1, 1]
    assert found.predictions_in_profile == 17
    assert found.predictions == 18


def test_impacts_by_hand() -> None:
    # jump (3 segments): background, true, double, true; so precision 1/2, 2/4 and recall 2/3 -> AP 1/3
    found = run(
        ("v1", 70.0, 80.0, "jump", 0.9),
        ("v1", 0.0, 10.0, "jump", 0.8),
        ("v1", 0.0, 10.0, "jump", 0.7),
        ("v2", 0.0, 10.0, "jump", 0.6),
    )
    assert found.average_map_in_profile == pytest.approx((1 / 3 + 0) / 2)  # run is never predicted
    without = {impact.error: impact.average_map for impact in found.impacts}
    assert without == pytest.approx(
        {
            "background": (1 / 3 * (1 + 2 / 3)) / 2,
            "double detection": (2 / 3 * 2 / 3) / 2,
            "wrong label": 1 / 6,
            "localization": 1 / 6,
            "confusion": 1 / 6,
        }
    )
    # mAP_N: N = 4 segments / 2 classes = 2; recall 1/3: 2/3 / (2/3 + 1), recall 2/3: 4/3 / (4/3 + 2); both 0.4
    assert found.average_normalized_map == pytest.approx((2 / 3 * 0.4) / 2)
    assert {impact.error: round(impact.normalized_gain, 12) for impact in found.impacts}["localization"] == 0


def test_a_segment_found_only_far_down_counts_as_missed() -> None:
    wrong = [("v1", 70.0, 80.0, "jump", 0.9 - 1e-3 * number) for number in range(12)]
    late = ("v1", 0.0, 10.0, "jump", 0.1)
    # N = 2, recall 1/3: precision 2/3 / (2/3 + 12) = 0.0526; with one more below 0.05
    assert run(*wrong, late).missed == pytest.approx((0.75,))
    assert run(*wrong, ("v1", 80.0, 90.0, "jump", 0.5), late).missed == (1.0,)


def test_without_predictions() -> None:
    found = run()
    assert found.confidence.average.estimate == found.confidence.average.high == 0
    assert found.missed == (1.0,)
    assert all(bar.predictions == 0 and sum(bar.shares.values()) == 0 for bar in found.profile)
    assert all(impact.gain == 0 for impact in found.impacts)
    json.dumps(found.to_json(), allow_nan=False)


def test_predictions_of_classes_without_ground_truth_are_not_looked_at() -> None:
    with_swim = run(FOUND, ("v1", 0.0, 10.0, "swim", 0.99))
    assert with_swim.profile == run(FOUND).profile
    assert with_swim.coverage.classes_without_ground_truth == ("swim",)


def _bins(dataset: str, lengths: list[float], videos: list[int] | None = None) -> dict[str, tuple[Any, ...]]:
    """Return edges and bin of each segment by characteristic: segments of these lengths, in videos of 100 s."""
    place = videos or [0] * len(lengths)
    documents = {
        f"v{number:02d}": (
            "test",
            [(0.0, length, "jump") for length, own in zip(lengths, place, strict=True) if own == number],
        )
        for number in sorted(set(place))
    }
    task = make_task([], documents, dataset=dataset)
    return {part.name: (part.bins_from, part.edges, part.bin.tolist()) for part in bin_segments(prepare(task), dataset)}


def test_official_bins_close_on_the_right() -> None:
    found = _bins("thumos14", [1.0, 2.0, 3.0, 3.5, 8.0, 18.0, 50.0])
    assert found["length"] == (
        "DETAD",
        (0, 3, 6, 12, 18, math.inf),
        [0, 0, 0, 1, 2, 3, 4],
    )
    assert found["coverage"] == (
        "DETAD",
        (0, 0.02, 0.04, 0.06, 0.08, 1),
        [0, 0, 1, 1, 3, 4, 4],
    )
    assert found["instances"] == ("DETAD", (0, 1, 40, 80, math.inf), [1] * 7)
    assert _bins("activitynet13", [30.0, 31.0])["length"][1:] == (
        (0, 30, 60, 120, 180, math.inf),
        [0, 1],
    )


def test_bins_of_other_datasets_are_of_equal_size() -> None:
    name, edges, place = _bins("own", [float(number) for number in range(1, 11)])["length"]
    assert (name, edges) == ("quantiles", (0, 2, 4, 6, 8, math.inf))
    assert place == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert _bins("own", [5.0] * 4)["length"][1:] == ((0, math.inf), [0] * 4)
    assert _bins("own", [5.0] * 9 + [6.0])["length"][1:] == (
        (0, 5, math.inf),
        [0] * 9 + [1],
    )
    # three videos of 1 segment, one each of 2, 3 and 4: thirds of the nine segments that have company
    videos = [0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5]
    assert _bins("own", [1.0] * 12, videos)["instances"][1:] == (
        (0, 1, 3, math.inf),
        [0] * 3 + [1] * 5 + [2] * 4,
    )
    assert _bins("own", [1.0, 1.0], [0, 1])["instances"][1:] == ((0, math.inf), [0, 0])


def test_a_segment_that_ends_a_little_after_its_video_covers_all_of_it() -> None:
    assert _bins("activitynet13", [100.05])["coverage"][2] == [4]


def test_empty_official_bins_say_so() -> None:
    found = run(FOUND, dataset="activitynet13")
    length = found.characteristics[0]
    assert [part.segments for part in length.bins] == [4, 0, 0, 0, 0]
    assert length.bins[0].average_normalized_map == pytest.approx(found.average_normalized_map)
    assert all(part.average_normalized_map is None and part.missed is None for part in length.bins[1:])
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["characteristics"][0]["bins"][4] == {
        "name": "XL",
        "low": 180,
        "high": None,
        "segments": 0,
        "average_mAP_N": None,
        "missed": None,
    }


def test_the_point_estimate_is_that_of_eval() -> None:
    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.scoring import score

    task = make_task([FOUND, ("v1", 20.0, 27.0, "run", 0.3), ("v2", 3.0, 12.0, "jump", 0.95)])
    expected = score(
        task.detections, task.annotations, ScoringOptions(split="test", tiou=(0.3, 0.6))
    ).mean_average_precision
    found = diagnose(Task(task.detections, task.annotations, "test", (0.3, 0.6)), resamples=100).confidence
    assert [row.estimate for row in found.per_tiou] == pytest.approx(list(expected), abs=1e-15)
    assert found.average.estimate == pytest.approx(float(np.mean(expected)), abs=1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"resamples": 10},
            r"--resamples: expected 100 or more, found 10",
            id="few-resamples",
        ),
        pytest.param({"seed": -1}, r"--seed: expected 0 or more, found -1", id="negative-seed"),
    ],
)
def test_wrong_options(options: dict[str, int], message: str) -> None:
    with pytest.raises(AslKitError, match=message):
        diagnose(make_task([FOUND]), **options)
