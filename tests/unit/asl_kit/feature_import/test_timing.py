from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.errors import FeatureError, UsageError
from asl_kit.feature_import.settings import ImportSettings
from asl_kit.feature_import.timing import Length, Timing, part_of_parent, suggest
from asl_kit.grid import FeatureGrid

rates = st.floats(1, 120)
lengths = st.integers(1, 500)


@given(rates, st.integers(1, 64), st.integers(1, 64), lengths, st.floats(-10, 10))
def test_windows(fps: float, window: int, stride: int, length: int, offset_s: float) -> None:
    grid = Timing(window, stride, fps, offset_s).grid(length, video_fps=None, duration_s=None)
    first_frames = np.arange(length) * stride
    np.testing.assert_allclose(grid.centers_s(), (first_frames + window / 2) / fps + offset_s, atol=1e-9, rtol=1e-9)
    end_s = Timing(window, stride, fps, offset_s).end_s(grid, fps)
    assert end_s == pytest.approx((first_frames[-1] + window) / fps + offset_s, abs=1e-8)


@given(lengths, st.floats(0.1, 1e4))
def test_resized_features_reach_over_the_whole_video(length: int, duration_s: float) -> None:
    grid = Timing(resized=True).grid(length, video_fps=None, duration_s=duration_s)
    assert (grid.start_s, grid.end_s) == (pytest.approx(0, abs=1e-9), pytest.approx(duration_s))
    assert grid.first_center_s == pytest.approx(duration_s / length / 2)


@given(st.floats(0, 5), st.floats(0.05, 3), lengths, st.floats(0, 400), st.floats(0.1, 300))
def test_a_part_holds_just_the_features_centred_in_it(
    first_s: float, step_s: float, length: int, start_s: float, duration_s: float
) -> None:
    parent = FeatureGrid(first_s, step_s, length)
    centers_s = parent.centers_s()
    margin_s = step_s * 1e-5  # centres on the edge itself may fall to either side
    inside = (centers_s >= start_s + margin_s) & (centers_s < start_s + duration_s - margin_s)
    perhaps = (centers_s >= start_s - margin_s) & (centers_s < start_s + duration_s + margin_s)
    try:
        rows, grid = part_of_parent(parent, start_s, start_s + duration_s)
    except FeatureError:
        assert not inside.any()
        return
    chosen = np.zeros(length, bool)
    chosen[rows] = True
    assert (inside <= chosen).all()
    assert (chosen <= perhaps).all()
    np.testing.assert_allclose(grid.centers_s(), centers_s[rows] - start_s, atol=1e-6)


def test_parts_share_no_feature_and_lose_none() -> None:
    parent = FeatureGrid.from_windows(fps=30.0, window_frames=32, stride_frames=16, length=900)
    edges = [0.0, 480.0 * 16 / 30 / 4, 200.0, 480.1]
    rows = [part_of_parent(parent, *pair)[0] for pair in pairwise(edges)]
    assert [(part.start, part.stop) for part in rows] == [
        (0, rows[1].start),
        (rows[1].start, rows[2].start),
        (rows[2].start, 900),
    ]


def test_the_frame_rate_is_the_given_one_or_the_videos() -> None:
    assert Timing(16, 4, 25.0).rate(30.0) == 25.0
    assert Timing(16, 4).rate(30.0) == 30.0
    with pytest.raises(FeatureError, match="frame rate is not known") as fault:
        Timing(16, 4).rate(None)
    assert "--fps" in str(fault.value.hint)


def test_a_resized_length_that_is_not_the_presets() -> None:
    with pytest.raises(FeatureError, match="99 features, expected 100"):
        Timing(resized=True, resized_to=100).grid(99, video_fps=None, duration_s=9.0)


OPTIONS: dict[str, Any] = {
    "window_frames": 16, "stride_frames": 4, "fps": 30.0, "offset_s": None, "resized": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_frames": None}, "--window missing"),
        ({"window_frames": None, "stride_frames": None}, "--window and --stride missing"),
        ({"stride_frames": 0}, "expected 1 or more"),
        ({"window_frames": 10**7}, "expected 1 or more, at most 1048576"),
        ({"fps": 0.0}, "--fps is 0.0"),
        ({"fps": float("nan")}, "--fps is nan"),
        ({"offset_s": float("inf")}, "--offset-s is inf"),
        ({"resized": True}, "leave out --window"),
        ({"resized": True, "window_frames": None, "stride_frames": None}, "leave out --fps"),
    ],
)
def test_options_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ImportSettings(**(OPTIONS | changes)).resolve()


def measured(timing: Timing, *, true_stride: int, true_fps: float, videos: int = 20) -> list[Length]:
    """Return lengths of videos whose features were made with another stride or rate than `timing` says."""
    found = []
    for number in range(videos):
        duration_s = 60.0 + 7 * number
        count = int((duration_s * true_fps - timing.window_frames) // true_stride) + 1
        fps = timing.fps or 30.0
        grid = timing.grid(count, video_fps=fps, duration_s=None)
        end_s = timing.end_s(grid, fps)
        found.append(Length(str(number), count, fps, end_s, duration_s, timing.tolerance_s(fps)))
    return found


@pytest.mark.parametrize(
    ("true_stride", "true_fps", "expected"),
    [
        pytest.param(16, 30.0, [], id="all fit"),
        pytest.param(8, 30.0, ["--stride 8"], id="half the stride"),
        pytest.param(32, 30.0, ["--stride 32", "--fps 15"], id="twice the stride"),
        pytest.param(16, 25.0, ["--fps 25"], id="another rate"),
        pytest.param(13, 30.0, [], id="nothing simple"),
    ],
)
def test_suggestions(true_stride: int, true_fps: float, expected: list[str]) -> None:
    timing = Timing(16, 16, 30.0)
    assert suggest(timing, measured(timing, true_stride=true_stride, true_fps=true_fps)) == expected


def test_a_length_fits_within_a_window() -> None:
    assert Length("v", 3, 30.0, 10.0, 10.5, 0.5).fits
    assert not Length("v", 3, 30.0, 10.0, 10.6, 0.5).fits
    assert str(Length("v", 3, 30.0, 10.0, 10.6, 0.5)) == "v: 3 features end at 10.00 s, the video at 10.60 s"
