"""Properties of the clip plan, against a plain loop that knows no arrays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asl_extract.clip_plan import ClipPlan, resampled_frames

COUNTS = st.integers(1, 40)
PLANS = st.builds(
    ClipPlan,
    frame_count=st.integers(1, 120),
    fps=st.sampled_from([10.0, 23.976, 25.0, 30.0, 60.0]),
    window_frames=COUNTS,
    stride_frames=COUNTS,
    clip_frames=st.integers(1, 20),
    resample_fps=st.sampled_from([None, 5.0, 15.0, 30.0, 90.0]),
)


@given(PLANS)
def test_equals_a_plain_loop(plan: ClipPlan) -> None:
    timeline = plan.timeline.tolist()
    expected = []
    start = 0
    while start == 0 or start + plan.window_frames <= len(timeline):
        clip = []
        for index in range(plan.clip_frames):
            if plan.clip_frames == 1:
                offset = (plan.window_frames - 1) // 2
            else:
                offset = index * (plan.window_frames - 1) // (plan.clip_frames - 1)
            position = start + offset
            clip.append(timeline[position] if position < len(timeline) else timeline[-1])
        expected.append(clip)
        start += plan.stride_frames
    assert plan.clips(0, plan.length).tolist() == expected
    assert plan.source_frames.tolist() == sorted({frame for clip in expected for frame in clip})
    assert plan.source_frames[plan.positions(0, plan.length)].tolist() == expected


@given(PLANS)
def test_features_lie_within_the_video(plan: ClipPlan) -> None:
    centers = plan.grid.centers_s()
    seconds = len(plan.timeline) / plan.timeline_fps
    half_window_s = plan.window_frames / 2 / plan.timeline_fps
    assert centers[0] == half_window_s
    if len(plan.timeline) >= plan.window_frames:
        assert centers[-1] + half_window_s <= seconds + 1e-9
        assert centers[-1] + half_window_s + plan.stride_frames / plan.timeline_fps > seconds - 1e-9


@given(frame_count=st.integers(1, 500), fps=st.floats(1, 120), resample_fps=st.floats(1, 120))
def test_resampling_keeps_order_and_time(frame_count: int, fps: float, resample_fps: float) -> None:
    frames = resampled_frames(frame_count=frame_count, fps=fps, resample_fps=resample_fps)
    assert (frames[1:] >= frames[:-1]).all()
    assert frames[0] >= 0
    assert frames[-1] < frame_count
    if frame_count * resample_fps / fps >= 0.5:
        assert abs(len(frames) / resample_fps - frame_count / fps) <= 0.5 / resample_fps + 1e-9
    for index, frame in enumerate(frames.tolist()):
        middle_s = (index + 0.5) / resample_fps
        assert frame / fps <= middle_s + 1e-6
        assert middle_s < (frame + 1) / fps + 1e-6 or frame == frame_count - 1


@given(frame_count=st.integers(1, 200), fps=st.floats(1, 120))
def test_resampling_to_the_same_rate_changes_nothing(frame_count: int, fps: float) -> None:
    assert resampled_frames(frame_count=frame_count, fps=fps, resample_fps=fps).tolist() == list(range(frame_count))
