"""What is made of frames and of images of flow, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.optical_flow import CPU, HALF, SMALL, Brightness, grays, preparer, real_frames, stream
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asl_extract.clip_plan import ClipPlan
from asl_extract.flow.preparation import FlowImagePreparer, FlowPreparer, get_flow_method
from asl_extract.frames import ResizeRule
from asl_kit.errors import (
    UsageError,
)


def test_flow_to_the_next_frame_truncated_and_scaled_the_last_one_repeated() -> None:
    flow = stream(preparer(Brightness()), grays(10, 15, 13, 113))
    assert flow.shape == (4, 16, 16, 2)
    assert flow.dtype == torch.float32
    expected = torch.tensor([[5 / 20, -5 / 20], [-2 / 20, 2 / 20], [1, -1], [1, -1]])
    torch.testing.assert_close(flow[:, 3, 5], expected)


def test_mean_and_std_are_of_motions_scaled_to_0_1() -> None:
    prepare = FlowPreparer(rule=SMALL, mean=(0.0, 0.25), std=(1.0, 0.5), method=Brightness(), device=CPU)
    # +10 pixels is 0.75 of the way from -20 to 20, -10 pixels is 0.25.
    torch.testing.assert_close(stream(prepare, grays(0, 10))[0, 0, 0], torch.tensor([0.75, 0.0]))


@pytest.mark.parametrize("blocks", [[1], [0, 1], [1, 0]], ids=str)
def test_video_of_one_frame_has_no_flow(blocks: list[int]) -> None:
    method = Brightness()
    flow = stream(preparer(method), grays(90), blocks)
    assert flow.shape == (1, 16, 16, 2)
    assert not flow.any()
    assert method.pairs == 0


def test_no_frames() -> None:
    assert preparer(Brightness()).stream().finish().shape == (0, 16, 16, 2)


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.integers(0, 255), min_size=1, max_size=12), data=st.data())
def test_any_blocks_give_the_same(values: list[int], data: st.DataObject) -> None:
    blocks: list[int] = []
    while sum(blocks) < len(values):
        blocks.append(data.draw(st.integers(0 if len(blocks) < 20 else 1, len(values) - sum(blocks))))
    prepare = preparer(Brightness())
    flow = stream(prepare, grays(*values), blocks)
    assert len(flow) == len(values)
    assert torch.equal(flow, stream(prepare, grays(*values)))


def test_videos_do_not_meet() -> None:
    prepare = preparer(Brightness())
    first, second = prepare.stream(), prepare.stream()
    assert len(first(grays(10, 20))) == 1
    assert len(second(grays(200, 201))) == 1
    torch.testing.assert_close(first(grays(25))[0, 0, 0], torch.tensor([0.25, -0.25]))


def test_equal_frames_have_no_flow_whatever_the_method() -> None:
    class Wrong(Brightness):
        def __call__(self, frames: Tensor) -> Tensor:
            return super().__call__(frames) + 7

    method = Wrong()
    prepare = preparer(method)
    values = (10, 10, 12, 12, 12, 13)
    flow = stream(prepare, grays(*values))
    assert flow[:, 0, 0, 0].mul(20).round().tolist() == [0, 9, 0, 0, 8, 8]
    assert method.pairs == 2
    prepare.device = torch.device("cuda")  # where the host does not wait to know which frames are equal
    between = prepare.between(torch.from_numpy(grays(*values)).permute(0, 3, 1, 2).float())
    assert torch.equal(between, flow[:-1])
    assert method.pairs == 2 + 5


def test_frame_that_is_shown_twice_has_no_flow_to_itself() -> None:
    plan = ClipPlan(
        frame_count=3, fps=5.0, window_frames=6, stride_frames=1, clip_frames=6, resample_fps=10.0, every_frame=True
    )
    flow = stream(preparer(Brightness()), grays(10, 14, 19)[plan.source_frames])
    assert flow[plan.positions(0, 1)[0]][:, 0, 0, 0].mul(20).round().tolist() == [0, 4, 0, 5, 0, 0]


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match="unknown method of optical flow 'farneback'") as caught:
        get_flow_method("farneback", device=CPU)
    assert caught.value.hint == "methods: raft_large, raft_small, tvl1"


def test_equals_torchs_resize() -> None:
    """What the method is given: frames resized whole, before anything is cut away."""
    given_sizes = []

    class Recording(Brightness):
        def __call__(self, frames: Tensor) -> Tensor:
            given_sizes.append(frames)
            return super().__call__(frames)

    flow = stream(preparer(Recording(), ResizeRule(64, 56, rounded=False)), real_frames()[:2])
    resized = F.interpolate(
        torch.from_numpy(real_frames()[:2]).permute(0, 3, 1, 2).float(), (64, 150), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(given_sizes[0], resized, rtol=0, atol=1e-4)
    assert flow.shape == (2, 56, 56, 2)


def from_images(rule: ResizeRule, *, x: float, y: float, size: tuple[int, int]) -> Tensor:
    """Return prepared flow of one frame whose images have these motions everywhere, in pixels."""
    levels = np.array([x, y]) / 40 * 255 + 127.5
    images = np.broadcast_to(levels.round().astype(np.uint8), (1, *size, 2))
    return FlowImagePreparer(rule=rule, mean=HALF, std=HALF, device=CPU)(np.ascontiguousarray(images))


@pytest.mark.parametrize(
    ("rule", "size", "x", "y", "expected"),
    [
        pytest.param(SMALL, (16, 20), -20, 20, (-1.0, 1.0), id="the whole range"),
        pytest.param(SMALL, (16, 20), 4, -8, (0.2, -0.4), id="no resizing"),
        pytest.param(SMALL, (32, 40), 4, -8, (0.1, -0.2), id="half the size, half the motion"),
        pytest.param(SMALL, (8, 8), 4, -16, (0.4, -1.0), id="twice the size, clipped"),
        pytest.param(ResizeRule((16, 32), 16, rounded=False), (16, 16), 4, 4, (0.4, 0.2), id="one axis alone"),
    ],
)
def test_flow_images(
    rule: ResizeRule, size: tuple[int, int], x: float, y: float, expected: tuple[float, float]
) -> None:
    flow = from_images(rule, x=x, y=y, size=size)
    assert flow.shape == (1, 16, 16, 2)
    # Half a level of 8 bits is 0.08 pixels: 0.004 of the range, 0.008 where images are enlarged.
    torch.testing.assert_close(flow[0, 3, 5], torch.tensor(expected), rtol=0, atol=0.0081)
    assert flow.std(dim=(0, 1, 2)).max() < 1e-6
