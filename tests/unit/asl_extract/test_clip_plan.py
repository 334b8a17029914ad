"""The clip plan against hand-computed cases and the publisher's sampling rule."""

from __future__ import annotations

import doctest
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_extract import clip_plan as plan_module
from asl_extract.clip_plan import ClipPlan, resampled_frames, sample_offsets


def test_docstring_examples_hold() -> None:
    result = doctest.testmod(plan_module)
    assert result.attempted > 10
    assert result.failed == 0


@pytest.mark.parametrize(
    ("window_frames", "clip_frames"),
    [(48, 4), (78, 13), (80, 16), (64, 8), (64, 32), (32, 16), (16, 4), (5, 16), (1, 4)],
)
def test_samples_as_pytorchvideo(window_frames: int, clip_frames: int) -> None:
    # UniformTemporalSubsample: torch.linspace over the window, clamped, truncated.
    expected = torch.linspace(0, window_frames - 1, clip_frames).clamp(0, window_frames - 1).long()
    assert sample_offsets(window_frames=window_frames, clip_frames=clip_frames).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("frame_count", "window_frames", "stride_frames", "length"),
    [
        pytest.param(16, 16, 4, 1, id="exactly one window"),
        pytest.param(19, 16, 4, 1, id="one frame short of two"),
        pytest.param(20, 16, 4, 2, id="exactly two"),
        pytest.param(15, 16, 4, 1, id="shorter than a window"),
        pytest.param(1, 16, 4, 1, id="one frame"),
        pytest.param(100, 10, 30, 4, id="gaps between windows"),
    ],
)
def test_number_of_clips(frame_count: int, window_frames: int, stride_frames: int, length: int) -> None:
    plan = ClipPlan(
        frame_count=frame_count, fps=30.0, window_frames=window_frames, stride_frames=stride_frames, clip_frames=4
    )
    assert plan.length == length
    assert plan.grid.length == length


def test_gaps_between_windows_are_not_needed() -> None:
    plan = ClipPlan(frame_count=20, fps=10.0, window_frames=2, stride_frames=8, clip_frames=2)
    assert plan.source_frames.tolist() == [0, 1, 8, 9, 16, 17]


def test_resampled_clips_lie_where_their_frames_do() -> None:
    plan = ClipPlan(frame_count=60, fps=60.0, window_frames=10, stride_frames=5, clip_frames=10, resample_fps=30.0)
    assert plan.length == 5
    assert plan.clips(1, 2).tolist() == [[11, 13, 15, 17, 19, 21, 23, 25, 27, 29]]
    # Half a second in: new frames 5 to 14 of 30 a second, centred at (5 + 10 / 2) / 30.
    assert plan.grid.centers_s()[1] == pytest.approx(1 / 3)


def test_non_integer_rates() -> None:
    frames = resampled_frames(frame_count=300, fps=30000 / 1001, resample_fps=25.0)
    assert len(frames) == 250
    # On display at (j + 0.5) / 25 s, worked out in whole numbers: floor((2 j + 1) * 30000 / (2 * 25 * 1001)).
    assert frames.tolist() == [(2 * j + 1) * 30000 // (2 * 25 * 1001) for j in range(250)]


def test_worked_example_of_the_documents() -> None:
    # docs/extraction.md: 100 frames at 25 a second, window 16, stride 4, 4 frames a clip.
    plan = ClipPlan(frame_count=100, fps=25.0, window_frames=16, stride_frames=4, clip_frames=4)
    assert plan.length == 22
    assert plan.clips(0, 22)[[0, 1, 21]].tolist() == [[0, 5, 10, 15], [4, 9, 14, 19], [84, 89, 94, 99]]
    assert plan.grid.centers_s()[[0, 1, 21]].tolist() == pytest.approx([0.32, 0.48, 3.68])


def test_variable_rate_shows_the_frame_on_display() -> None:
    # Middles of a fifth of a second at 0.1, 0.3, ... s; frames come at 0, 0.05, 0.35 and 0.4 s, until 1 s.
    times_s = np.array([0.0, 0.05, 0.35, 0.4, 1.0])
    frames = resampled_frames(frame_count=4, fps=4.0, resample_fps=5.0, display_s=times_s)
    assert frames.tolist() == [1, 1, 3, 3, 3]
    plan = ClipPlan(
        frame_count=4, fps=4.0, window_frames=2, stride_frames=1, clip_frames=2, resample_fps=5.0, display_s=times_s
    )
    assert plan.clips(0, plan.length).tolist() == [[1, 1], [1, 3], [3, 3], [3, 3]]
    assert plan.source_frames.tolist() == [1, 3]  # frames on display between two middles are not needed
    assert plan.grid.centers_s().tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert plan.note == ""


@given(
    stays_ms=st.lists(st.integers(0, 400), min_size=1, max_size=60).filter(sum),
    resample_fps=st.sampled_from([None, 1.0, 7.0, 24.0, 30.0, 120.0]),
)
def test_variable_rate_by_search_in_whole_milliseconds(stays_ms: list[int], resample_fps: float | None) -> None:
    times_ms = np.concatenate([[0], np.cumsum(stays_ms)])
    plan = ClipPlan(
        frame_count=len(stays_ms), fps=len(stays_ms) * 1000 / times_ms[-1], window_frames=4, stride_frames=2,
        clip_frames=4, resample_fps=resample_fps, display_s=times_ms / 1000,
    )  # fmt: skip
    assert (np.diff(plan.timeline) >= 0).all()
    if resample_fps is None:
        assert len(plan.timeline) == len(stays_ms)
        assert plan.note.startswith("variable frame rate")
        return
    for new, shown in enumerate(plan.timeline):
        middle = Fraction(2 * new + 1, 2 * int(resample_fps)) * 1000  # ms
        on_display = [index for index in range(len(stays_ms)) if times_ms[index] <= middle]
        assert shown == on_display[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_count": 0}, "frame_count must be 1 or more, got 0"),
        ({"window_frames": 0}, "window_frames must be 1 or more, got 0"),
        ({"stride_frames": 0}, "stride_frames must be 1 or more, got 0"),
        ({"clip_frames": 0}, "clip_frames must be 1 or more, got 0"),
        ({"fps": float("nan")}, "fps must be a finite number above 0, got nan"),
        ({"fps": 0.0}, "fps must be a finite number above 0, got 0.0"),
        ({"resample_fps": -1.0}, "resample_fps must be a finite number above 0, got -1.0"),
        ({"display_s": np.arange(10.0)}, "display_s must hold 11 times, got 10"),
        ({"display_s": np.arange(10.0, -1.0, -1.0)}, "display_s must be finite and never decrease"),
        ({"display_s": np.append(np.arange(10.0), 5.0)}, "display_s must be finite and never decrease"),
        ({"display_s": np.append(np.arange(10.0), np.inf)}, "display_s must be finite and never decrease"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_numbers_out_of_range(changes: dict[str, Any], message: str) -> None:
    fields = {"frame_count": 10, "fps": 10.0, "window_frames": 4, "stride_frames": 2, "clip_frames": 2}
    with pytest.raises(ValueError, match=message):
        ClipPlan(**(fields | changes))  # type: ignore[arg-type]


def test_long_video_in_parts() -> None:
    plan = ClipPlan(frame_count=60_000, fps=30.0, window_frames=16, stride_frames=4, clip_frames=4)
    assert plan.source_frames.tolist() == np.unique(plan.clips(0, plan.length)).tolist()


def test_a_frame_in_two_seconds() -> None:
    plan = ClipPlan(frame_count=8, fps=0.5, window_frames=2, stride_frames=1, clip_frames=2, resample_fps=0.25)
    assert plan.clips(0, plan.length).tolist() == [[1, 3], [3, 5], [5, 7]]
    assert plan.grid.centers_s().tolist() == [4.0, 8.0, 12.0]
    assert ClipPlan(frame_count=1, fps=25.0, window_frames=1, stride_frames=1, clip_frames=1).clips(0, 1).tolist() == [
        [0]
    ]


def test_a_timeline_has_a_frame_at_least() -> None:
    assert resampled_frames(frame_count=1, fps=30.0, resample_fps=1.0).tolist() == [0]
    assert resampled_frames(frame_count=3, fps=2.0, resample_fps=1.0).tolist() == [1, 2]  # 1.5 frames are 2
